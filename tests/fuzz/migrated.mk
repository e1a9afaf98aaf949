# Fuzz targets of migrated: see local.mk.
