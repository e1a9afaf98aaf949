# Documentation: wire formats, decisions, man pages.
