# Documentation: wire formats, decisions, man pages (those of vmlab and hospes-probe are in tools/lab.mk).
EXTRA_DIST += %D%/wire %D%/adr %D%/testing-guests.md %D%/fencing.md README.md HACKING.md COPYING
dist_man_MANS += %D%/man/vmctl.8 %D%/man/vmmig.8 %D%/man/migrated.8 %D%/man/hvdom.8 %D%/man/clusterd.8 %D%/man/hospes-guard.8 %D%/man/hospes-domain.5 %D%/man/hospes.7
