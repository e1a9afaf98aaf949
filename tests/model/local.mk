# The Spin model of ownership.
