/* One product on five rungs: out (N, O) = x (N, I) w (O, I)^T, ch03/multihead_attention.py:45
   `self.qkv(x)`. Rung 4 is linear_forward of ops.c on one thread: blocks that stay in caches, so
   that what was copied is used often. Rung 5 is the same on all threads. */
#include "ops.c"

// 1. The definition. The sum goes in order, so each addition waits for the one before.
API void product_1(float *out, const float *x, const float *w, Int N, Int I, Int O) {
    for (Int n = 0; n < N; n++)
        for (Int o = 0; o < O; o++) {
            float sum = 0;
            for (Int i = 0; i < I; i++) sum += x[n * I + i] * w[o * I + i];
            out[n * O + o] = sum;
        }
}

// 2. Many sums at a time, in a register: an instruction adds to all. It needs two loads for that.
API void product_2(float *out, const float *x, const float *w, Int N, Int I, Int O) {
    for (Int n = 0; n < N; n++)
        for (Int o = 0; o < O; o++) out[n * O + o] = dot(x + n * I, w + o * I, I);
}

// 3. A tile of sums in registers, ops.c's: what is loaded is used ROWS or COLUMNS times. The inputs
// are copied into its order first, those of x again for every strip of the output.
API void product_3(float *out, const float *x, const float *w, Int N, Int I, Int O) {
    float *a = malloc(sizeof(float) * I * (ROWS + COLUMNS)), *b = a + I * ROWS;
    for (Int o = 0; a && o < O; o += COLUMNS) {
        pack(b, (Mat){w + o * I, 1, I}, I, O - o, COLUMNS);
        for (Int n = 0; n < N; n += ROWS) {
            pack(a, (Mat){x + n * I, 1, I}, I, N - n, ROWS);
            tile(out + n * O + o, O, a, b, I, N - n, O - o, NULL, 0);
        }
    }
    free(a);
}

// The peak: n times 16 multiply-adds of registers that wait for nothing, 32 VEC n operations.
API Int peak(Int n, float *out) {
    vec sum[16], x = (vec){0} + 0.999f, y = (vec){0} + 0.001f;
    for (int i = 0; i < 16; i++) sum[i] = x * (float)i;
    for (Int k = 0; k < n; k++)
        for (int i = 0; i < 16; i++) sum[i] = sum[i] * x + y;
    for (int i = 0; i < 16; i++) *out += sum[i][0];  // so that the compiler keeps them
    return 32 * VEC * n;
}
