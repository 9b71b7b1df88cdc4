/* What the headers and the library of a newer libstdc++ take from a newer glibc. Zero only chooses atomic counting. */
char __libc_single_threaded = 0;
