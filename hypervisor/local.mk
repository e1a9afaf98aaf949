# hvdom, and the client library of its hypercall socket.
EXTRA_DIST += %D%/hypercall.h %D%/hvcall.h %D%/hvserver.h %D%/domcfg.h %D%/guestmem.h
