/* The operations of the course's GPT on a GPU, forward and backward.

   A kernel is written for one thread; a launch starts one for each number, or row, to compute, in
   blocks of at most 1024. Where ops.c has a loop, `for (int n = 0; n < N; n++)`, a thread does one
   turn of it: `int n = blockIdx.x * blockDim.x + threadIdx.x`. Version 1 is the plain one. In
   version 2 neighbouring threads read neighbouring numbers, and what several threads need is read
   once, into the shared memory of their block.

   Names, arrays, and what is added to or set are those of ops.c: B sequences of T tokens, N = B T
   rows, C embedding, H heads, D = C / H head size, V vocabulary; dx is the gradient of the loss for
   x. No sum depends on the order in which threads run, but in embedding_backward_1. How many of
   them start says launch.cu.   */
#ifdef ON_CPU
#include "cuda_on_cpu.h"
#define UNROLL
#else
#include <stdint.h>
#define LAUNCH(kernel, grid, block, shared, ...) \
    (kernel<<<grid, block, shared>>>(__VA_ARGS__), cuda_failure())
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#define UNROLL _Pragma("unroll")  // an array lies in registers only if all its indices are known
static const char *cuda_failure() {
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? NULL : cudaGetErrorString(error);
}
#endif
typedef int64_t Int;
typedef const float *In;  // an array in the GPU's memory that is read,
typedef float *Out;       // and one that is written or added to
typedef const Int *Ids;
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)
enum { THREADS = 256, WARPS = THREADS / 32, TILE = 32 };

// ---- What `width` threads know together, 1 or 32: after five exchanges a warp has the result.

__device__ float all_sum(float v, int width) {
    for (int step = width / 2; step; step /= 2) v += __shfl_xor_sync(~0u, v, step);
    return v;
}
__device__ float all_max(float v, int width) {
    for (int step = width / 2; step; step /= 2) v = fmaxf(v, __shfl_xor_sync(~0u, v, step));
    return v;
}

// ---- Embeddings: x[n, c] = tok[ids[n], c] + pos[n % T, c]. A thread for each number, a block for
// (a part of) a row.

__global__ void embed(Out x, Ids ids, In tok, In pos, int T, int C) {
    Int n = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
    if (c < C) x[n * C + c] = tok[ids[n] * C + c] + pos[n % T * C + c];
}

// dtok[v, c] += sum of dx[n, c] over the rows n with ids[n] = v; dpos[t, c] += that over place t.
// Two threads may add to one number at once: atomicAdd lets none be lost, but the order in which
// they come, and so how the sum is rounded, differs from run to run.
__global__ void embedding_backward_1(Out dtok, Out dpos, In dx, Ids ids, int T, int C) {
    Int n = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
    if (c >= C) return;
    atomicAdd(dtok + ids[n] * C + c, dx[n * C + c]);
    atomicAdd(dpos + n % T * C + c, dx[n * C + c]);
}

// The same in a fixed order: the first row of each token, or place, adds up all of its rows.
__global__ void embedding_backward_2(Out dtok, Out dpos, In dx, Ids ids, int T, int C) {
    Int N = gridDim.x, n = blockIdx.x, c = blockIdx.y * blockDim.x + threadIdx.x;
    if (c >= C) return;
    float sum = 0;
    for (Int i = n; n < T && i < N; i += T) sum += dx[i * C + c];
    if (n < T) dpos[n * C + c] += sum;
    for (Int i = 0; i < n; i++)
        if (ids[i] == ids[n]) return;  // an earlier row does it
    sum = 0;
    for (Int i = n; i < N; i++)
        if (ids[i] == ids[n]) sum += dx[i * C + c];
    dtok[ids[n] * C + c] += sum;
}

// ---- Layer norm: out = xhat scale + shift, xhat = (x - mean) rstd, rstd = 1 / sqrt(var + 1e-5)

// `width` threads for each row. With 1 (version 1) a thread is a turn of the loop in C; neighbours
// read numbers that lie C apart. With 32 (version 2) a warp reads 32 neighbours at once: a thread
// adds up every 32nd number, and all_sum makes of 32 sums the one that all of them need.
__global__ void layernorm(Out out, Out mean, Out rstd, In x, In scale, In shift, int N, int C,
                          int width) {
    Int n = INDEX / width, lane = threadIdx.x % width;
    if (n >= N) return;  // the whole warp
    x += n * C, out += n * C;
    float sum = 0, square = 0;
    for (int c = lane; c < C; c += width) sum += x[c];
    float m = all_sum(sum, width) / C;
    for (int c = lane; c < C; c += width) square += (x[c] - m) * (x[c] - m);
    float r = rsqrtf(all_sum(square, width) / C + 1e-5f);
    for (int c = lane; c < C; c += width) out[c] = (x[c] - m) * r * scale[c] + shift[c];
    if (lane == 0) mean[n] = m, rstd[n] = r;
}

// dx += rstd (g - mean(g) - xhat mean(g xhat)), g = dout scale. `width` threads for each row.
__global__ void layernorm_dx(Out dx, In dout, In x, In mean, In rstd, In scale, int N, int C,
                             int width) {
    Int n = INDEX / width, lane = threadIdx.x % width;
    if (n >= N) return;
    x += n * C, dx += n * C, dout += n * C;
    float m = mean[n], r = rstd[n], sum = 0, dot = 0;
    for (int c = lane; c < C; c += width) {
        sum += dout[c] * scale[c];
        dot += dout[c] * scale[c] * (x[c] - m) * r;
    }
    sum = all_sum(sum, width) / C, dot = all_sum(dot, width) / C;
    for (int c = lane; c < C; c += width)
        dx[c] += r * (dout[c] * scale[c] - sum - (x[c] - m) * r * dot);
}

// dshift[c] += sum over n of dout[n, c]; dscale[c] += that of dout[n, c] xhat[n, c]. A linear
// layer's dbias is like dshift: then dscale is NULL. A block for 32 columns: its warps share out
// the rows, then the last one adds up their sums. With one warp (version 1) a thread goes over all
// rows, and most of a GPU has nothing to do.
__global__ void column_sums(Out dscale, Out dshift, In dout, In x, In mean, In rstd, int N, int C) {
    __shared__ float shifts[WARPS][32], scales[WARPS][32];
    Int lane = threadIdx.x, warp = threadIdx.y, warps = blockDim.y, c = blockIdx.x * 32 + lane;
    float shift = 0, scale = 0;
    for (Int n = warp; n < N && c < C; n += warps) {
        shift += dout[n * C + c];
        if (dscale) scale += dout[n * C + c] * (x[n * C + c] - mean[n]) * rstd[n];
    }
    shifts[warp][lane] = shift, scales[warp][lane] = scale;
    __syncthreads();  // all sums lie there
    if (warp < warps - 1 || c >= C) return;
    for (int i = 0; i < warp; i++) shift += shifts[i][lane], scale += scales[i][lane];
    dshift[c] += shift;
    if (dscale) dscale[c] += scale;
}

// ---- Matrix product: c (M, N) = a (M, K) b (K, N) + bias (N), or c += a b with `add`. Two strides
// say where an element lies: so one kernel multiplies by w, by w turned and by dout turned.

struct Mat { In p; Int row, col; };  // element (i, j) is p[i * row + j * col]
__device__ float get(Mat a, int i, int j) { return a.p[i * a.row + j * a.col]; }
__device__ void put(Out c, float sum, In bias, int n, bool add) {
    *c = add ? *c + sum : bias ? sum + bias[n] : sum;
}

// A thread for each number of c: two reads for each multiplication, and others read the same again.
__global__ void matmul_1(Out c, Mat a, Mat b, In bias, int M, int N, int K, bool add) {
    Int n = INDEX, m = blockIdx.y * blockDim.y + threadIdx.y;
    if (m >= M || n >= N) return;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += get(a, m, k) * get(b, k, n);
    put(c + m * N + n, sum, bias, n, add);
}

// The block copies a slice of a, `wide` rows and SIDE columns, into shared memory: to[k][i], 0
// beyond the edges. Neighbours read neighbours, whether they lie in a row or in a column.
enum { SIDE = 16 };
__device__ void load_slice(Out to, Mat a, int i0, int k0, int wide, int I, int K) {
    for (int e = threadIdx.y * SIDE + threadIdx.x; e < wide * SIDE; e += SIDE * SIDE) {
        int i = a.col == 1 ? e / SIDE : e % wide, k = a.col == 1 ? e % SIDE : e / wide;
        to[k * (wide + 1) + i] = i0 + i < I && k0 + k < K ? get(a, i0 + i, k0 + k) : 0;
    }
}

// A block of 16 x 16 threads for 16 EACH x 16 EACH numbers: what one thread reads, 16 EACH use. A
// thread computes EACH x EACH of them in registers, so that 2 EACH reads of shared memory serve
// EACH^2 multiplications. Version 2: EACH = 1. Version 3: EACH = 4, the tile of ops.c once more.
template <int EACH>
__global__ void matmul_tiled(Out c, Mat a, Mat b, In bias, int M, int N, int K, bool add) {
    DYNAMIC_SHARED(float, shared);
    const int wide = SIDE * EACH, pitch = wide + 1;  // + 1: a column lies in 32 different banks
    int i0 = threadIdx.y, j0 = threadIdx.x, m0 = blockIdx.y * wide, n0 = blockIdx.x * wide;
    float *as = shared, *bs = as + SIDE * pitch, sum[EACH][EACH] = {};
    for (int k0 = 0; k0 < K; k0 += SIDE) {
        load_slice(as, a, m0, k0, wide, M, K);
        load_slice(bs, {b.p, b.col, b.row}, n0, k0, wide, N, K);
        __syncthreads();  // both slices are complete
        for (int k = 0; k < SIDE; k++)
            UNROLL for (int i = 0; i < EACH; i++)
                UNROLL for (int j = 0; j < EACH; j++)
                    sum[i][j] += as[k * pitch + i0 + i * SIDE] * bs[k * pitch + j0 + j * SIDE];
        __syncthreads();  // nobody needs them any more
    }
    UNROLL for (int i = 0; i < EACH; i++)
        UNROLL for (int j = 0; j < EACH; j++) {
            Int m = m0 + i0 + i * SIDE, n = n0 + j0 + j * SIDE;
            if (m < M && n < N) put(c + m * N + n, sum[i][j], bias, n, add);
        }
}

// ---- Causal attention, q, k, v in qkv (B, T, 3C): s[t, j] = q[t] k[j] / sqrt(D) for j <= t,
// out[t] = sum over j of p[t, j] v[j], p = exp(s - lse), lse[t] = log of the sum of exp(s[t, j]).
// blockIdx.y is the sequence and the head.

__device__ float dot(In a, In b, int D) {
    float sum = 0;
    for (int d = 0; d < D; d++) sum += a[d] * b[d];
    return sum;
}

// A thread for each query. It meets one key after the other, not knowing which score will be the
// highest: when a higher one comes, what was summed up so far shrinks (online softmax).
__global__ void attention_1(Out out, Out lse, In qkv, int T, int C, int H) {
    Int t = INDEX, h = blockIdx.y % H, b = blockIdx.y / H, D = C / H;
    if (t >= T) return;
    const float *q = qkv + (b * T + t) * 3 * C + h * D;
    float top = -INFINITY, total = 0, scale = rsqrtf(D), *o = out + (b * T + t) * C + h * D;
    for (int d = 0; d < D; d++) o[d] = 0;
    for (Int j = 0; j <= t; j++) {
        const float *k = qkv + (b * T + j) * 3 * C + C + h * D, *v = k + C;
        float s = dot(q, k, D) * scale, higher = fmaxf(top, s);
        float shrink = expf(top - higher), p = expf(s - higher);
        for (int d = 0; d < D; d++) o[d] = o[d] * shrink + p * v[d];
        total = total * shrink + p, top = higher;
    }
    for (int d = 0; d < D; d++) o[d] /= total;
    lse[blockIdx.y * T + t] = top + logf(total);
}

// Rows i0 to i0 + 31 of a head into shared memory, 0 below the last one. The pitch is odd: the
// numbers of a column lie in 32 different banks.
__device__ void load_rows(Out to, In from, int i0, int T, Int stride, int D) {
    for (int e = threadIdx.y * 32 + threadIdx.x; e < TILE * D; e += THREADS) {
        int i = e / D, d = e % D;
        to[i * (D | 1) + d] = i0 + i < T ? from[(i0 + i) * stride + d] : 0;
    }
}

// sum[i, d] += total over j of p[i, j] x[j, d], for the warp's 4 rows. A lane holds columns lane
// and lane + 32, which limits D to 64.
enum { ROWS = TILE / WARPS, PARTS = 2 };
__device__ void add_rows(float sum[ROWS][PARTS], In p, In x, int D) {
    for (int j = 0; j < TILE; j++)
        UNROLL for (int c = 0; c < PARTS; c++) {
            int d = threadIdx.x + 32 * c;
            float v = d < D ? x[j * (D | 1) + d] : 0;
            UNROLL for (int i = 0; i < ROWS; i++) sum[i][c] += p[i * TILE + j] * v;
        }
}

// A block for 32 queries, a warp for 4 of them. Keys and values come in tiles of 32 through shared
// memory: what is read once, 32 queries use. A lane scores one key, then hands its weight on.
__global__ void attention_2(Out out, Out lse, In qkv, int T, int C, int H) {
    DYNAMIC_SHARED(float, shared);
    Int h = blockIdx.y % H, b = blockIdx.y / H, stride = 3 * C;
    int D = C / H, pitch = D | 1, lane = threadIdx.x, i0 = threadIdx.y * ROWS;
    int t0 = blockIdx.x * TILE;
    float *qs = shared, *ks = qs + TILE * pitch, *vs = ks + TILE * pitch;
    float *p = vs + TILE * pitch + i0 * TILE, scale = rsqrtf(D);  // the warp's 4 x 32 weights
    const float *q = qkv + b * T * stride + h * D;
    float sum[ROWS][PARTS] = {}, total[ROWS] = {}, top[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) top[i] = -INFINITY;
    load_rows(qs, q, t0, T, stride, D);
    for (int j0 = 0; j0 < t0 + TILE && j0 < T; j0 += TILE) {  // nobody here may see later keys
        __syncthreads();  // nobody needs the last tile any more
        load_rows(ks, q + C, j0, T, stride, D);
        load_rows(vs, q + 2 * C, j0, T, stride, D);
        __syncthreads();  // this one is complete
        UNROLL for (int i = 0; i < ROWS; i++) {
            float s = dot(qs + (i0 + i) * pitch, ks + lane * pitch, D) * scale;
            if (j0 + lane > t0 + i0 + i) s = -INFINITY;
            float higher = fmaxf(top[i], all_max(s, 32)), shrink = expf(top[i] - higher);
            p[i * TILE + lane] = s = expf(s - higher);
            total[i] = total[i] * shrink + all_sum(s, 32), top[i] = higher;
            UNROLL for (int c = 0; c < PARTS; c++) sum[i][c] *= shrink;
        }
        __syncwarp();  // the warp's weights are complete
        add_rows(sum, p, vs, D);
    }
    UNROLL for (int i = 0; i < ROWS; i++) {
        Int t = t0 + i0 + i;
        UNROLL for (int c = 0; c < PARTS; c++) {
            int d = lane + 32 * c;
            if (t < T && d < D) out[(b * T + t) * C + h * D + d] = sum[i][c] / total[i];
        }
        if (t < T && lane == 0) lse[blockIdx.y * T + t] = top[i] + logf(total[i]);
    }
}

// delta[t] = dout[t] out[t] of each head: the sum in the softmax's backward. A warp for each row.
__global__ void attention_delta(Out delta, In dout, In out, int T, int C, int H) {
    Int t = INDEX / 32, lane = threadIdx.x % 32, h = blockIdx.y % H, b = blockIdx.y / H;
    if (t >= T) return;
    Int D = C / H, at = (b * T + t) * C + h * D;
    float sum = 0;
    for (int d = lane; d < D; d += 32) sum += dout[at + d] * out[at + d];
    sum = all_sum(sum, 32);
    if (lane == 0) delta[blockIdx.y * T + t] = sum;
}

// ds = p (dout v - delta) / sqrt(D); dq[t] = sum over j of ds[t, j] k[j], dk[j] = sum over t of
// ds[t, j] q[t], dv[j] = sum over t of p[t, j] dout[t]. A thread for each query (blockIdx.z = 0),
// which meets the keys up to its place, and one for each key (1), which meets the later queries.
__global__ void attention_backward_1(Out dqkv, In dout, In lse, In delta, In qkv, int T, int C,
                                     int H) {
    Int me = INDEX, h = blockIdx.y % H, b = blockIdx.y / H, D = C / H, stride = 3 * C;
    bool is_key = blockIdx.z;
    if (me >= T) return;
    const float *q = qkv + b * T * stride + h * D, *k = q + C, *v = k + C;
    const float *o = dout + b * T * C + h * D;
    float *dq = dqkv + (b * T + me) * stride + h * D, *dk = dq + C, *dv = dk + C, scale = rsqrtf(D);
    for (int d = 0; d < D; d++)
        if (is_key) dk[d] = dv[d] = 0;
        else dq[d] = 0;
    for (Int i = is_key ? me : 0; i < (is_key ? T : me + 1); i++) {
        Int t = is_key ? i : me, j = is_key ? me : i, row = blockIdx.y * T + t;
        float p = expf(dot(q + t * stride, k + j * stride, D) * scale - lse[row]);
        float ds = p * (dot(o + t * C, v + j * stride, D) - delta[row]) * scale;
        for (int d = 0; d < D; d++)
            if (is_key) dk[d] += ds * q[t * stride + d], dv[d] += p * o[t * C + d];
            else dq[d] += ds * k[j * stride + d];
    }
}

// The same in tiles. A query has two vectors, q and dout, and a key has k and v; scores are
// products of the first ones, gradients of weights those of the second. So one kernel serves both:
// a block has 32 rows of one kind, a warp 4 of them, and meets the other kind in tiles.
__global__ void attention_backward_2(Out dqkv, In dout, In lse, In delta, In qkv, int T, int C,
                                     int H) {
    DYNAMIC_SHARED(float, shared);
    Int h = blockIdx.y % H, b = blockIdx.y / H, stride = 3 * C;
    int D = C / H, pitch = D | 1, lane = threadIdx.x, i0 = threadIdx.y * ROWS;
    int first = blockIdx.x * TILE;
    bool is_key = blockIdx.z;
    float *mine1 = shared, *mine2 = mine1 + TILE * pitch, *other1 = mine2 + TILE * pitch;
    float *other2 = other1 + TILE * pitch, *p = other2 + TILE * pitch + i0 * TILE;
    float *ds = p + TILE * TILE, sum1[ROWS][PARTS] = {}, sum2[ROWS][PARTS] = {}, scale = rsqrtf(D);
    const float *q = qkv + b * T * stride + h * D, *k = q + C, *v = k + C;
    const float *o = dout + b * T * C + h * D;
    lse += blockIdx.y * T, delta += blockIdx.y * T;
    load_rows(mine1, is_key ? k : q, first, T, stride, D);
    load_rows(mine2, is_key ? v : o, first, T, is_key ? stride : C, D);
    for (int r0 = is_key ? first : 0; r0 < (is_key ? T : first + 1); r0 += TILE) {
        __syncthreads();  // nobody needs the last tile any more
        load_rows(other1, is_key ? q : k, r0, T, stride, D);
        load_rows(other2, is_key ? o : v, r0, T, is_key ? C : stride, D);
        __syncthreads();  // this one is complete
        UNROLL for (int i = 0; i < ROWS; i++) {
            int me = first + i0 + i, t = is_key ? r0 + lane : me, j = is_key ? me : r0 + lane;
            float s = dot(mine1 + (i0 + i) * pitch, other1 + lane * pitch, D) * scale;
            float dp = dot(mine2 + (i0 + i) * pitch, other2 + lane * pitch, D);
            bool seen = j <= t && t < T;
            p[i * TILE + lane] = s = seen ? expf(s - lse[t]) : 0;
            ds[i * TILE + lane] = seen ? s * (dp - delta[t]) * scale : 0;
        }
        __syncwarp();  // the warp's weights are complete
        add_rows(sum1, ds, other1, D);
        if (is_key) add_rows(sum2, p, other2, D);
    }
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int c = 0; c < PARTS; c++) {
            Int row = first + i0 + i, d = lane + 32 * c;
            if (row >= T || d >= D) continue;
            float *to = dqkv + (b * T + row) * stride + h * D + d;
            to[is_key ? C : 0] = sum1[i][c];
            if (is_key) to[2 * C] = sum2[i][c];
        }
}

// ---- A thread for each number: GELU is x s(2u), s the logistic function, u = sqrt(2 / pi)
// (x + 0.044715 x^3); its dx = dout (s + x s (1 - s) 2 du/dx) may lie where dout does.

__device__ float gelu_gate(float x) {
    return 1 / (1 + expf(-1.5957691216f * (x + 0.044715f * x * x * x)));
}
__global__ void gelu(Out out, In x, Int n) {
    Int i = INDEX;
    if (i < n) out[i] = x[i] * gelu_gate(x[i]);
}
__global__ void gelu_dx(Out dx, In dout, In x, Int n) {
    Int i = INDEX;
    if (i >= n) return;
    float s = gelu_gate(x[i]), du = 1.5957691216f * (1 + 3 * 0.044715f * x[i] * x[i]);
    dx[i] = dout[i] * (s + x[i] * s * (1 - s) * du);
}

// out = x + y. Backward is no work: x and y have the gradient of out.
__global__ void add(Out out, In x, In y, Int n) {
    Int i = INDEX;
    if (i < n) out[i] = x[i] + y[i];
}

// AdamW: m and v follow g and g^2; w -= lr decay w + size m / (root sqrt(v) + eps), where
// size = lr / (1 - beta1^step) and root = 1 / sqrt(1 - beta2^step) make up for the start at 0.
__global__ void update(Out w, In g, Out m, Out v, Int n, float size, float root, float beta1,
                       float beta2, float eps, float lr_decay) {
    Int i = INDEX;
    if (i >= n) return;
    m[i] += (1 - beta1) * (g[i] - m[i]);
    v[i] += (1 - beta2) * (g[i] * g[i] - v[i]);
    w[i] -= lr_decay * w[i] + size * m[i] / (sqrtf(v[i]) * root + eps);
}

// ---- Loss of row n: log(sum of exp(l)) - l[y], and its gradient in the place of the logits:
// dl = (softmax(l) - onehot(y)) / count, 0 if y < 0. `width` threads for each row, 1 or 32.

__global__ void softmax_loss(Out losses, Out logits, Ids targets, int N, int V, Int count,
                             int width) {
    Int n = INDEX / width, lane = threadIdx.x % width;
    if (n >= N) return;
    float *l = logits + n * V, top = -INFINITY, sum = 0;
    Int y = targets[n];
    for (int i = lane; i < V; i += width) top = fmaxf(top, l[i]);
    top = all_max(top, width);
    for (int i = lane; i < V; i += width) sum += expf(l[i] - top);
    sum = all_sum(sum, width);
    if (y < 0 && lane == 0) losses[n] = 0;
    for (int i = lane; i < V; i += width) {
        if (i == y) losses[n] = logf(sum) + top - l[i];
        l[i] = y < 0 ? 0 : (expf(l[i] - top) / sum - (i == y)) / count;
    }
}
