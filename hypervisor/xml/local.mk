# Domain XML: libdomxml.a (needs $(XML_LIBS)).
