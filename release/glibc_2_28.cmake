# A toolchain that makes a module for glibc 2.28, as a wheel for manylinux_2_28 must be, on a machine with a newer one:
# GCC compiles; Zig, which knows the symbols of each glibc, links. LSWAG_ZIG is the command line of Zig. Where the system
# has glibc 2.28 itself, as in the images of cibuildwheel, LSWAG_PORTABLE does the same without this file.
find_program(LSWAG_GXX NAMES g++ REQUIRED)
set(CMAKE_CXX_COMPILER "${LSWAG_GXX}")
# Zig reads no code that GCC has left half compiled.
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION OFF)

foreach(library libstdc++.a libgcc.a libgcc_s.so.1)
  execute_process(COMMAND "${LSWAG_GXX}" "-print-file-name=${library}" OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(APPEND LSWAG_RUNTIME " ${path}")
endforeach()
string(CONCAT CMAKE_CXX_CREATE_SHARED_MODULE
  "$ENV{LSWAG_ZIG} cc -target ${CMAKE_HOST_SYSTEM_PROCESSOR}-linux-gnu.2.28 -shared -o <TARGET> <OBJECTS> <LINK_LIBRARIES> "
  "${CMAKE_CURRENT_LIST_DIR}/glibc_2_28.c ${LSWAG_RUNTIME} -lm -Wl,--gc-sections "
  "-Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/../csrc/exports.map")
