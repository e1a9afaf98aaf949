# libFuzzer targets; each corpus replays in make check.
