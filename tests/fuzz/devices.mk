# Fuzz targets of devices: see local.mk.
