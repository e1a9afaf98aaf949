# Unit tests of clusterd/core: records, commands, views, leases, decisions.
