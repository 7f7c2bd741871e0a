/* The functions of ops.c for arrays in a GPU's memory: how many threads of which kernel start.

   The last argument is the version. Kernels and `dim3` grids count threads along x first; a block
   is what LAUNCH's third argument says, its shared memory in bytes is the fourth. Each function
   gives NULL, or what went wrong.

   nvcc -O3 -shared -Xcompiler -fPIC launch.cu -o launch.so                      for a GPU
   g++ -std=c++17 -O1 -x c++ -DON_CPU -shared -fPIC launch.cu -o launch.so       to test it   */
#include "kernels.cu"

static int blocks(Int n, Int per_block) { return (n + per_block - 1) / per_block; }
#define EACH(kernel, n, ...) LAUNCH(kernel, blocks(n, THREADS), THREADS, 0, __VA_ARGS__)

static const char *matmul(Out c, Mat a, Mat b, In bias, int M, int N, int K, bool add, int v) {
    int side = v == 3 ? 4 * SIDE : SIDE, bytes = 2 * SIDE * (side + 1) * sizeof(float);
    dim3 grid(blocks(N, side), blocks(M, side)), block(SIDE, SIDE);
    if (v == 1) return LAUNCH(matmul_1, grid, block, 0, c, a, b, bias, M, N, K, add);
    if (v == 2) return LAUNCH(matmul_tiled<1>, grid, block, bytes, c, a, b, bias, M, N, K, add);
    return LAUNCH(matmul_tiled<4>, grid, block, bytes, c, a, b, bias, M, N, K, add);
}
static const char *add_columns(Out dscale, Out dshift, In dout, In x, In mean, In rstd, int N,
                               int C, int v) {
    dim3 grid(blocks(C, 32)), block(32, v == 1 ? 1 : WARPS);
    return LAUNCH(column_sums, grid, block, 0, dscale, dshift, dout, x, mean, rstd, N, C);
}

extern "C" {
const char *embedding_forward(Out x, Ids ids, In tok, In pos, Int B, Int T, Int C, Int) {
    dim3 grid(B * T, blocks(C, THREADS));
    return LAUNCH(embed, grid, THREADS, 0, x, ids, tok, pos, T, C);
}
const char *embedding_backward(Out dtok, Out dpos, In dx, Ids ids, Int B, Int T, Int C, Int v) {
    dim3 grid(B * T, blocks(C, THREADS));
    if (v == 1) return LAUNCH(embedding_backward_1, grid, THREADS, 0, dtok, dpos, dx, ids, T, C);
    return LAUNCH(embedding_backward_2, grid, THREADS, 0, dtok, dpos, dx, ids, T, C);
}
const char *layernorm_forward(Out out, Out mean, Out rstd, In x, In scale, In shift, Int N, Int C,
                              Int v) {
    int width = v == 1 ? 1 : 32;
    return EACH(layernorm, N * width, out, mean, rstd, x, scale, shift, N, C, width);
}
const char *layernorm_backward(Out dx, Out dscale, Out dshift, In dout, In x, In mean, In rstd,
                               In scale, Int N, Int C, Int v) {
    int width = v == 1 ? 1 : 32;
    const char *bad = EACH(layernorm_dx, N * width, dx, dout, x, mean, rstd, scale, N, C, width);
    return bad ? bad : add_columns(dscale, dshift, dout, x, mean, rstd, N, C, v);
}
const char *linear_forward(Out out, In x, In w, In bias, Int N, Int I, Int O, Int v) {
    return matmul(out, {x, I, 1}, {w, 1, I}, bias, N, O, I, false, v);
}
const char *linear_backward(Out dx, Out dw, Out dbias, In dout, In x, In w, Int N, Int I, Int O,
                            Int v) {
    const char *bad = matmul(dx, {dout, O, 1}, {w, I, 1}, NULL, N, I, O, false, v);
    if (!bad) bad = matmul(dw, {dout, 1, O}, {x, I, 1}, NULL, O, I, N, true, v);
    return bad || !dbias ? bad : add_columns(NULL, dbias, dout, NULL, NULL, NULL, N, O, v);
}
const char *attention_forward(Out out, Out lse, In qkv, Int B, Int T, Int C, Int H, Int v) {
    dim3 grid(blocks(T, v == 1 ? THREADS : TILE), B * H), block(32, WARPS);
    int bytes = (3 * TILE * (C / H | 1) + TILE * TILE) * sizeof(float);
    if (v == 1) return LAUNCH(attention_1, grid, THREADS, 0, out, lse, qkv, T, C, H);
    return LAUNCH(attention_2, grid, block, bytes, out, lse, qkv, T, C, H);
}
const char *attention_backward(Out dqkv, Out delta, In dout, In out, In lse, In qkv, Int B, Int T,
                               Int C, Int H, Int v) {
    dim3 rows(blocks(T, WARPS), B * H), grid(blocks(T, v == 1 ? THREADS : TILE), B * H, 2);
    int bytes = (4 * TILE * (C / H | 1) + 2 * TILE * TILE) * sizeof(float);
    const char *bad = LAUNCH(attention_delta, rows, THREADS, 0, delta, dout, out, T, C, H);
    if (bad) return bad;
    auto kernel = v == 1 ? attention_backward_1 : attention_backward_2;
    dim3 block(v == 1 ? THREADS : 32, v == 1 ? 1 : WARPS);
    return LAUNCH(kernel, grid, block, v == 1 ? 0 : bytes, dqkv, dout, lse, delta, qkv, T, C, H);
}
const char *gelu_forward(Out out, In x, Int n, Int) { return EACH(gelu, n, out, x, n); }
const char *gelu_backward(Out dx, In dout, In x, Int n, Int) {
    return EACH(gelu_dx, n, dx, dout, x, n);
}
const char *shortcut_forward(Out out, In x, In y, Int n, Int) { return EACH(add, n, out, x, y, n); }
const char *cross_entropy(Out losses, Out logits, Ids targets, Int N, Int V, Int count, Int v) {
    int width = v == 1 ? 1 : 32;
    return EACH(softmax_loss, N * width, losses, logits, targets, N, V, count, width);
}
const char *adamw(Out w, In g, Out m, Out v, Int n, Int step, float lr, float beta1, float beta2,
                  float eps, float decay, Int) {
    float size = lr / (1 - pow(beta1, step)), root = 1 / sqrt(1 - pow(beta2, step));
    return EACH(update, n, w, g, m, v, n, size, root, beta1, beta2, eps, lr * decay);
}
}
