# Unit tests of clusterd/io.
