# Engine pv: libpv.a and its freestanding restore helper (in $(pkglibdir)).
