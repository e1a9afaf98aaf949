# SPDX-License-Identifier: GPL-2.0-or-later
# awk -v mem=KIB -f own_kib.awk /proc/PID/smaps: KiB that the process has for itself, without the mapping of that size that is the guest's memory.
# Translated code has a buffer that may be as large, and is executable.
/^[0-9a-f]+-[0-9a-f]+ / { code = ($2 ~ /x/); guest = 0 }
/^Size:/ && $2 == mem && !code { guest = 1 }
/^Private_(Clean|Dirty):/ && !guest { n += $2 }
END { print n + 0 }
