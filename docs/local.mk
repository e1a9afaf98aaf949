# Documentation: wire formats, decisions, man pages.
EXTRA_DIST += %D%/wire %D%/adr %D%/testing-guests.md README.md COPYING
dist_man_MANS += %D%/man/vmctl.8
