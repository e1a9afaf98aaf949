# What every node computes alike: pure.
