/* The operations of a GPT in C, each with its backward, and the matrix product below them.

   B sequences of T tokens, N = B T rows, C embedding, H heads, D = C / H head size, V vocabulary,
   I inputs and O outputs of a linear layer. Arrays are float32, row after row, without gaps. dx is
   the gradient of the loss for x. A backward adds to the gradients of weights and sets those of
   activations; layernorm_backward adds to dx, where the shortcut's gradient already is. A line of
   the course, as ch04/gpt.py:74 `F.layer_norm(`, says what a function stands for. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "exp_ rounds by adding and subtracting, which -ffast-math takes for nothing: leave it away"
#endif
#define API  // marks what Python calls: native.py reads the types of the arguments here
#ifdef _OPENMP
int omp_get_max_threads(void);
void omp_set_num_threads(int n);
#else  // one thread
#define omp_get_max_threads() 1
#define omp_set_num_threads(n) (void)(n)
#endif
typedef int64_t Int;  // every size and index: a product of sizes can pass 2^31
static inline Int smaller(Int a, Int b) { return a < b ? a : b; }

// Use n threads (0: as before); returns how many there are. PyTorch: torch.set_num_threads(n).
API Int use_threads(Int n) { if (n > 0) omp_set_num_threads((int)n); return omp_get_max_threads(); }

/* ---- The product --------------------------------------------------------------------------- */
#if defined(__AVX512F__)
enum { VEC = 16, ROWS = 8 };  // floats in a register; rows of a tile: ROWS x 2 registers hold sums
#elif defined(__AVX__)
enum { VEC = 8, ROWS = 6 };
#else
enum { VEC = 4, ROWS = 8 };
#endif
// A tile's width; blocks of inputs, rows and columns for the caches; attention's queries at a time
enum { COLUMNS = 2 * VEC, INPUTS = 256, BLOCK = 96, PANEL = 1024, STRIP = 64 };
// VEC floats that one instruction adds or multiplies; aligned(4): they may begin at any float
typedef float vec __attribute__((vector_size(4 * VEC), aligned(4)));
typedef struct { const float *at; Int row, column; } Mat;  // (i, j) is at[i * row + j * column]
static Mat from(Mat m, Int i, Int j) { m.at += i * m.row + j * m.column; return m; }
static Mat turned(Mat m) { return (Mat){m.at, m.column, m.row}; }  // its transpose: nothing moves

// a . b, in as many sums at a time as fit into registers
static inline float dot(const float *a, const float *b, Int n) {
    float sum = 0;
    #pragma omp simd reduction(+ : sum)
    for (Int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Copy `depth` slices of `full` numbers so that a tile reads one after the other; if there are only
// `left`, with zeros behind them. m (depth, left)
static void pack(float *to, Mat m, Int depth, Int left, Int full) {
    Int width = smaller(left, full);
    if (width < full) memset(to, 0, sizeof(float) * depth * full);
    for (Int k0 = 0; k0 < depth; k0 += 16)  // 16 floats: the cache line in which they stand
        if (m.column == 1)
            for (Int k = k0; k < smaller(depth, k0 + 16); k++)
                for (Int i = 0; i < width; i++) to[k * full + i] = m.at[k * m.row + i];
        else
            for (Int i = 0; i < width; i++)
                for (Int k = k0; k < smaller(depth, k0 + 16); k++)
                    to[k * full + i] = m.at[k * m.row + i * m.column];
}

// c = a (K, ROWS)^T b (K, COLUMNS) [+ bias] [+ c], of which m x n are in c: the sums stay in
// registers, where each number of a is used COLUMNS times and each of b ROWS times.
static void tile(float *c, Int stride, const float *a, const float *b, Int K, Int m, Int n,
                 const float *bias, int add) {
    vec sum[ROWS][2] = {{{0}}};
    for (Int k = 0; k < K; k++, a += ROWS, b += COLUMNS) {
        vec b0 = *(const vec *)b, b1 = *(const vec *)(b + VEC);
        for (int i = 0; i < ROWS; i++) sum[i][0] += a[i] * b0, sum[i][1] += a[i] * b1;
    }
    const vec zero = {0}, *more = (const vec *)bias;
    if (m >= ROWS && n >= COLUMNS) {
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < 2; j++) {
                vec *to = (vec *)(c + i * stride) + j;
                *to = sum[i][j] + (bias ? more[j] : zero) + (add ? *to : zero);
            }
        return;
    }
    for (Int i = 0; i < smaller(m, ROWS); i++)  // a tile at the edge
        for (Int j = 0; j < smaller(n, COLUMNS); j++) {
            float s = sum[i][j / VEC][j % VEC];
            c[i * stride + j] = s + (bias ? bias[j] : 0) + (add ? c[i * stride + j] : 0);
        }
}

// c (M, N) = a (M, K) b (K, N) [+ bias] [+ c] on this thread; c's rows are `stride` floats apart.
__attribute__((noinline)) static void gemm_here(Int M, Int N, Int K, Mat a, Mat b, float *c,
                                                Int stride, const float *bias, int add) {
    static _Thread_local float pa[BLOCK * INPUTS], pb[PANEL * INPUTS];
    if (M == 1 && a.column == 1 && b.row == 1) {  // all of b is used once: memory is the limit
        for (Int n = 0; n < N; n++)
            c[n] = (add ? c[n] : 0) + (bias ? bias[n] : 0) + dot(a.at, b.at + n * b.column, K);
        return;
    }
    for (Int n0 = 0; n0 < N; n0 += PANEL)
        for (Int k0 = 0; k0 < K; k0 += INPUTS) {
            Int width = smaller(PANEL, N - n0), depth = smaller(INPUTS, K - k0);
            for (Int n = 0; n < width; n += COLUMNS)
                pack(pb + n * depth, from(b, k0, n0 + n), depth, width - n, COLUMNS);
            for (Int m0 = 0; m0 < M; m0 += BLOCK) {
                Int height = smaller(BLOCK, M - m0);
                for (Int m = 0; m < height; m += ROWS)
                    pack(pa + m * depth, turned(from(a, m0 + m, k0)), depth, height - m, ROWS);
                for (Int n = 0; n < width; n += COLUMNS)
                    for (Int m = 0; m < height; m += ROWS)
                        tile(c + (m0 + m) * stride + n0 + n, stride, pa + m * depth, pb + n * depth,
                             depth, height - m, width - n, bias && !k0 ? bias + n0 + n : NULL,
                             add || k0);
            }
        }
}

// The same on all threads. Each has outputs of its own, so no sum depends on how many there are.
static void gemm(Int M, Int N, Int K, Mat a, Mat b, float *c, Int stride, const float *bias,
                 int add) {
    Int by_rows = M >= N, all = by_rows ? M : N, step = by_rows ? ROWS : COLUMNS;
    Int share = step * omp_get_max_threads(), slice = (all + share - 1) / share * step;
    #pragma omp parallel for schedule(static) if (M * N * K > 1 << 18)
    for (Int at = 0; at < all; at += slice) {
        Int n = smaller(slice, all - at);
        if (by_rows) gemm_here(n, N, K, from(a, at, 0), b, c + at * stride, stride, bias, add);
        else gemm_here(M, n, K, a, from(b, 0, at), c + at, stride, bias ? bias + at : NULL, add);
    }
}

/* ---- The operations ------------------------------------------------------------------------ */
// e^x with a relative error below 2e-7. Unlike expf it is inlined, so loops become vectors.
static inline float exp_(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // + 1.5 * 2^23 rounds x / log 2
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;      // x = n log 2 + r
    float p = (1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f;  // e^r, nearly
    p = ((p * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    union { int32_t bits; float value; } power = {((int32_t)n + 127) << 23};  // 2^n
    return p * power.value;
}

// x[b, t] = tok[ids[b, t]] + pos[t]         ch04/gpt.py:184 `self.tok_emb(idx) + self.pos`
API void embedding_forward(float *x, const int64_t *ids, const float *tok, const float *pos, Int B,
                           Int T, Int C) {
    #pragma omp parallel for
    for (Int n = 0; n < B * T; n++)
        for (Int c = 0; c < C; c++) x[n * C + c] = tok[ids[n] * C + c] + pos[n % T * C + c];
}

// dtok[ids[b, t]] += dx[b, t], dpos[t] += dx[b, t]                  ch05/gpt_train.py:89 `backward`
API void embedding_backward(float *dtok, float *dpos, const float *dx, const int64_t *ids, Int B,
                            Int T, Int C) {
    for (Int n = 0; n < B * T; n++)  // on one thread: two rows may be of the same token
        for (Int c = 0; c < C; c++) {
            dtok[ids[n] * C + c] += dx[n * C + c];
            dpos[n % T * C + c] += dx[n * C + c];
        }
}

// out = (x - mean) rstd scale + shift, rstd = 1 / sqrt(variance + 1e-5) ch04/gpt.py:74 `layer_norm`
API void layernorm_forward(float *out, float *mean, float *rstd, const float *x, const float *scale,
                           const float *shift, Int N, Int C) {
    #pragma omp parallel for
    for (Int n = 0; n < N; n++) {
        const float *xn = x + n * C;
        float sum = 0, squares = 0;
        #pragma omp simd reduction(+ : sum)
        for (Int c = 0; c < C; c++) sum += xn[c];
        float m = sum / C;
        #pragma omp simd reduction(+ : squares)
        for (Int c = 0; c < C; c++) squares += (xn[c] - m) * (xn[c] - m);
        float r = 1 / sqrtf(squares / C + 1e-5f);
        for (Int c = 0; c < C; c++) out[n * C + c] = (xn[c] - m) * r * scale[c] + shift[c];
        mean[n] = m, rstd[n] = r;
    }
}

// With y = (x - mean) rstd and g = dout scale:  dx += rstd (g - average(g) - y average(g y)),
// dscale += sum over rows of dout y, dshift += sum of dout          ch05/gpt_train.py:89 `backward`
API void layernorm_backward(float *dx, float *dscale, float *dshift, const float *dout,
                            const float *x, const float *mean, const float *rstd,
                            const float *scale, Int N, Int C) {
    #pragma omp parallel for
    for (Int n = 0; n < N; n++) {
        const float *xn = x + n * C, *dn = dout + n * C;
        float m = mean[n], r = rstd[n], sum = 0, along = 0;
        #pragma omp simd reduction(+ : sum, along)
        for (Int c = 0; c < C; c++) {
            float g = dn[c] * scale[c];
            sum += g, along += g * ((xn[c] - m) * r);
        }
        for (Int c = 0; c < C; c++)
            dx[n * C + c] += r * (dn[c] * scale[c] - (sum + (xn[c] - m) * r * along) / C);
    }
    #pragma omp parallel for
    for (Int c0 = 0; c0 < C; c0 += 64)  // a thread has columns of its own: no two add to one sum
        for (Int n = 0; n < N; n++)
            for (Int c = c0; c < smaller(C, c0 + 64); c++) {
                dscale[c] += dout[n * C + c] * ((x[n * C + c] - mean[n]) * rstd[n]);
                dshift[c] += dout[n * C + c];
            }
}

// out (N, O) = x (N, I) w (O, I)^T + bias          ch03/multihead_attention.py:45 `self.qkv(x)`
API void linear_forward(float *out, const float *x, const float *w, const float *bias, Int N,
                        Int I, Int O) {
    gemm(N, O, I, (Mat){x, I, 1}, (Mat){w, 1, I}, out, O, bias, 0);  // w^T: w with turned strides
}

// dx = dout w, dw += dout^T x, dbias += sum over rows of dout       ch05/gpt_train.py:89 `backward`
API void linear_backward(float *dx, float *dw, float *dbias, const float *dout, const float *x,
                         const float *w, Int N, Int I, Int O) {
    gemm(N, I, O, (Mat){dout, O, 1}, (Mat){w, I, 1}, dx, I, NULL, 0);
    gemm(O, I, N, (Mat){dout, 1, O}, (Mat){x, I, 1}, dw, I, NULL, 1);
    if (!dbias) return;
    #pragma omp parallel for
    for (Int o0 = 0; o0 < O; o0 += 64)
        for (Int n = 0; n < N; n++)
            for (Int o = o0; o < smaller(O, o0 + 64); o++) dbias[o] += dout[n * O + o];
}

static float *strip(Int rows, Int T) {  // room for the scores of some queries
    float *p = malloc(sizeof(float) * smaller(rows, STRIP) * T);
    return p ? p : (perror("attention"), abort(), p);
}

// x = factor softmax(scale x), a row of n numbers; returns log(sum(exp(scale x))).
static double softmax(float *x, Int n, float scale, float factor) {
    float top = x[0], sum = 0;
    #pragma omp simd reduction(max : top)
    for (Int i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    #pragma omp simd reduction(+ : sum)
    for (Int i = 0; i < n; i++) sum += x[i] = exp_((x[i] - top) * scale);
    factor /= sum;
    for (Int i = 0; i < n; i++) x[i] *= factor;
    return (double)top * scale + log(sum);
}

// out = softmax(q k^T / sqrt(D), keys up to the query's own) v for each head and the queries from
// `first` on; lse (B, H, T) keeps log(sum(exp(scores))). qkv (B, T, 3C) is read in place: a head is
// a pointer and a stride of 3C.  ch03/multihead_attention.py:48 `scaled_dot_product_attention(`
API void attention_forward(float *out, float *lse, const float *qkv, Int first, Int B, Int T, Int C,
                           Int H) {
    Int D = C / H, W = 3 * C;
    #pragma omp parallel if (T - first > 1)
    {
        float *scores = strip(T - first, T);
        #pragma omp for
        for (Int bh = 0; bh < B * H; bh++) {
            const float *at = qkv + bh / H * T * W + bh % H * D;
            Mat q = {at, W, 1}, k = {at + C, W, 1}, v = {at + 2 * C, W, 1};
            for (Int t0 = first; t0 < T; t0 += STRIP) {
                Int rows = smaller(STRIP, T - t0), keys = t0 + rows;
                float *o = out + (bh / H * (T - first) + t0 - first) * C + bh % H * D;
                gemm_here(rows, keys, D, from(q, t0, 0), turned(k), scores, T, NULL, 0);
                for (Int i = 0; i < rows; i++) {
                    Int seen = t0 + i + 1;  // the causal mask: no later key counts
                    lse[bh * T + t0 + i] = softmax(scores + i * T, seen, 1 / sqrtf(D), 1);
                    for (Int j = seen; j < keys; j++) scores[i * T + j] = 0;
                }
                gemm_here(rows, D, keys, (Mat){scores, T, 1}, v, o, C, NULL, 0);
            }
        }
        free(scores);
    }
}

// With p the weights, made again from lse, and dp = dout v^T:  ds = p (dp - dout . out) / sqrt(D),
// dq = ds k, dk = ds^T q, dv = p^T dout. In softmax's backward stands p . dp, a sum over the keys;
// it is dout . out, a dot product of D numbers.                     ch05/gpt_train.py:89 `backward`
API void attention_backward(float *dqkv, const float *dout, const float *out, const float *lse,
                            const float *qkv, Int B, Int T, Int C, Int H) {
    Int D = C / H, W = 3 * C;
    float scale = 1 / sqrtf(D);
    memset(dqkv, 0, sizeof(float) * B * T * W);
    #pragma omp parallel
    {
        float *p = strip(T, T), *ds = strip(T, T);
        #pragma omp for
        for (Int bh = 0; bh < B * H; bh++) {
            Int at = bh / H * T * W + bh % H * D;
            Mat k = {qkv + at + C, W, 1}, v = {k.at + C, W, 1};
            float *dk = dqkv + at + C, *dv = dk + C;
            for (Int t0 = 0; t0 < T; t0 += STRIP) {
                Int rows = smaller(STRIP, T - t0), keys = t0 + rows, here = at + t0 * W;
                Int row = (bh / H * T + t0) * C + bh % H * D;
                const float *o = out + row;
                Mat q = {qkv + here, W, 1}, g = {dout + row, C, 1};
                gemm_here(rows, keys, D, q, turned(k), p, T, NULL, 0);
                gemm_here(rows, keys, D, g, turned(v), ds, T, NULL, 0);
                for (Int i = 0; i < rows; i++) {
                    Int seen = t0 + i + 1;
                    float *pi = p + i * T, *di = ds + i * T, l = lse[bh * T + t0 + i];
                    float all = dot(g.at + i * C, o + i * C, D);
                    for (Int j = 0; j < seen; j++) {
                        pi[j] = exp_(pi[j] * scale - l);
                        di[j] = pi[j] * (di[j] - all) * scale;
                    }
                    for (Int j = seen; j < keys; j++) pi[j] = di[j] = 0;
                }
                gemm_here(rows, D, keys, (Mat){ds, T, 1}, k, dqkv + here, W, NULL, 0);
                gemm_here(keys, D, rows, (Mat){ds, 1, T}, q, dk, W, NULL, 1);
                gemm_here(keys, D, rows, (Mat){p, 1, T}, g, dv, W, NULL, 1);
            }
        }
        free(p), free(ds);
    }
}

// s(2u) with u = sqrt(2 / pi) (x + 0.044715 x^3) and s(z) = 1 / (1 + e^-z): it is (1 + tanh u) / 2
static inline float gelu_gate(float x) {
    return 1 / (1 + exp_(-1.5957691216f * (x + 0.044715f * x * x * x)));
}

// out = x s(2u)                                                    ch04/gpt.py:86 `F.gelu(`
API void gelu_forward(float *out, const float *x, Int n) {
    #pragma omp parallel for simd
    for (Int i = 0; i < n; i++) out[i] = x[i] * gelu_gate(x[i]);
}

// dx = dout (s + x s (1 - s) 2u'), and dx may be dout             ch05/gpt_train.py:89 `backward`
API void gelu_backward(float *dx, const float *dout, const float *x, Int n) {
    #pragma omp parallel for simd
    for (Int i = 0; i < n; i++) {
        float s = gelu_gate(x[i]), slope = 1.5957691216f * (1 + 0.134145f * x[i] * x[i]);
        dx[i] = dout[i] * (s + x[i] * s * (1 - s) * slope);
    }
}

// out = x + y; backward: both get dout, nothing is to do    ch04/gpt.py:128 `x + self.dropout(`
API void shortcut_forward(float *out, const float *x, const float *y, Int n) {
    #pragma omp parallel for simd
    for (Int i = 0; i < n; i++) out[i] = x[i] + y[i];
}

// losses = log(sum(exp(logits))) - logits[target]; logits (N, V) become their gradient, (softmax -
// one-hot) / count. A target below 0 does not count.        ch05/gpt_train.py:46 `F.cross_entropy(`
API void cross_entropy(float *losses, float *logits, const int64_t *targets, Int N, Int V,
                       Int count) {
    #pragma omp parallel for
    for (Int n = 0; n < N; n++) {
        float *l = logits + n * V, counts = targets[n] >= 0, own = counts ? l[targets[n]] : 0;
        losses[n] = counts * (softmax(l, V, 1, counts / count) - own);
        if (counts) l[targets[n]] -= 1.0f / count;
    }
}

// m = average of g, v = of g^2; w -= lr decay w + lr (m / (1 - beta1^step)) / (sqrt(v / (1 -
// beta2^step)) + eps)                                      ch05/gpt_train.py:90 `optimizer.step()`
API void adamw(float *w, const float *g, float *m, float *v, Int n, Int step, float lr, float beta1,
               float beta2, float eps, float decay) {
    float size = lr / (1 - pow(beta1, step)), root = 1 / sqrt(1 - pow(beta2, step));
    #pragma omp parallel for simd
    for (Int i = 0; i < n; i++) {
        m[i] += (1 - beta1) * (g[i] - m[i]);
        v[i] += (1 - beta2) * (g[i] * g[i] - v[i]);
        w[i] -= lr * decay * w[i] + size * m[i] / (sqrtf(v[i]) * root + eps);
    }
}
