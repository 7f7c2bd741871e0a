/* One product on five rungs: out (N, O) = x (N, I) w (O, I)^T, ch03/multihead_attention.py:45
   `self.qkv(x)`. Rungs 4 and 5 are linear_forward of ops.c on one thread, with wider tiles over
   blocks that stay in the caches, and on all threads. */
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

// 3. A tile of 4 x 4 outputs: what is loaded is used 4 times, and 16 sums wait for nothing.
API void product_3(float *out, const float *x, const float *w, Int N, Int I, Int O) {
    for (Int n = 0; n < N; n += 4)
        for (Int o = 0; o < O; o += 4) {
            vec sum[4][4] = {{{0}}};
            const float *xn[4], *wo[4];  // at an edge the last one again: it is written twice
            for (int j = 0; j < 4; j++)
                xn[j] = x + smaller(n + j, N - 1) * I, wo[j] = w + smaller(o + j, O - 1) * I;
            for (Int i = 0; i + VEC <= I; i += VEC)
                for (int a = 0; a < 4; a++)
                    for (int b = 0; b < 4; b++)
                        sum[a][b] += *(const vec *)(xn[a] + i) * *(const vec *)(wo[b] + i);
            Int full = I / VEC * VEC;  // what does not fill a register comes last
            for (int a = 0; a < 4; a++)
                for (int b = 0; b < 4; b++) {
                    float total = dot(xn[a] + full, wo[b] + full, I - full);
                    for (int j = 0; j < VEC; j++) total += sum[a][b][j];
                    out[smaller(n + a, N - 1) * O + smaller(o + b, O - 1)] = total;
                }
        }
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
