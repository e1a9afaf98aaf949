# Unit tests of migrated.
