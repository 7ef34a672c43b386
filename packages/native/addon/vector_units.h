// A function marked so is compiled once for each generation of vector units; the processor's is
// chosen at load time. What it calls has to be inlined to be compiled along.
#ifndef RESBATCHNORM_VECTOR_UNITS_H_
#define RESBATCHNORM_VECTOR_UNITS_H_

#if defined(__x86_64__)
#define FOR_EACH_VECTOR_UNIT __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_VECTOR_UNIT
#endif
#define INLINED inline __attribute__((always_inline))

#endif  // RESBATCHNORM_VECTOR_UNITS_H_
