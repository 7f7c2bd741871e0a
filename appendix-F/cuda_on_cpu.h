/* Runs CUDA kernels on a CPU, one thread after the other: to test their logic, not to be fast.

   Every thread of a block is a fibre: a function with a stack of its own, which can stop in its
   middle and go on later. It runs until it must wait for others: at __syncthreads() for its block,
   in a shuffle or at __syncwarp() for its warp of 32. Then another one runs. A GPU promises no
   order, so `cuda_order` chooses one for blocks and threads (0 forward, 1 backward, above: random,
   with that seed): a kernel whose result depends on it has a race. Shared memory starts as NaN,
   which nobody overlooks. A barrier that some threads never reach ends the launch with a message.
   Not seen here: speed, and two threads that add to one number without atomicAdd.   */
#pragma once
#ifdef __APPLE__
#define _XOPEN_SOURCE 700  // else there is no ucontext
#define _DARWIN_C_SOURCE
#define EMU_SECTION "__DATA,emu_shared"
#define EMU_EDGE(edge) __asm("section$" #edge "$__DATA$emu_shared")
#else
#define EMU_SECTION "emu_shared"
#define EMU_EDGE(edge) __attribute__((weak, visibility("hidden")))
#endif
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
static dim3 gridDim, blockDim, blockIdx, threadIdx;
#define __global__ static
#define __device__ static

// Blocks run one after the other, so what is static belongs to one block at a time. All of it, but
// that of templates, lies in one section, between two addresses that the linker knows.
#define __shared__ static __attribute__((section(EMU_SECTION)))
extern "C" char __start_emu_shared[] EMU_EDGE(start), __stop_emu_shared[] EMU_EDGE(end);
enum { EMU_THREADS = 1024, EMU_SHARED = 48 * 1024, EMU_STACK = 64 * 1024 };  // 1024, 48 K: a GPU's
alignas(64) static char emu_dynamic[EMU_SHARED];  // the shared memory whose size a launch says
#define DYNAMIC_SHARED(type, name) type *name = (type *)emu_dynamic

static struct {
    ucontext_t context;
    char *stack;
    const char *at;  // what it waits in, NULL while it can run
    int line, n_shuffles;
    bool ended;
    float given[2];  // to a shuffle; two, as a fast thread may be one shuffle ahead
} emu[EMU_THREADS];
static ucontext_t emu_scheduler;
static int emu_me, emu_ended, cuda_order;
static char emu_message[300];  // what went wrong in this launch
static void (*emu_call)(const void *);
static const void *emu_kernel;  // the kernel with its arguments
static const char EMU_BARRIER[] = "__syncthreads()";
extern "C" void use_order(int64_t order) { cuda_order = order; }

static void emu_wait(const char *at, int line) {
    emu[emu_me].at = at, emu[emu_me].line = line;
    swapcontext(&emu[emu_me].context, &emu_scheduler);
}
static float emu_shuffle(float value, int lane, int line) {
    int me = emu_me, set = emu[me].n_shuffles++ % 2, from = me / 32 * 32 + lane;
    emu[me].given[set] = value;
    emu_wait("a shuffle", line);
    return from < (int)(blockDim.x * blockDim.y * blockDim.z) ? emu[from].given[set] : NAN;
}
#define __syncthreads() emu_wait(EMU_BARRIER, __LINE__)
#define __syncwarp() emu_wait("__syncwarp()", __LINE__)
#define __shfl_xor_sync(mask, v, with) emu_shuffle(v, (emu_me ^ (with)) % 32, __LINE__)
#define __shfl_sync(mask, v, lane) emu_shuffle(v, (lane) % 32, __LINE__)
static inline float atomicAdd(float *to, float v) { float old = *to; *to = old + v; return old; }
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }

static void emu_body() {
    emu_call(emu_kernel);
    emu[emu_me].ended = true, emu_ended++;
    setcontext(&emu_scheduler);
}
static void emu_mix(int *order, int n, uint32_t *random) {
    for (int i = 0; i < n; i++) order[i] = cuda_order == 1 ? n - 1 - i : i;
    for (int i = n - 1; cuda_order > 1 && i > 0; i--) {
        *random = *random * 1664525u + 1013904223u;
        int j = (*random >> 8) % (i + 1), o = order[i];
        order[i] = order[j], order[j] = o;
    }
}
// These threads go on if all of them wait in one line, for the whole block or for the warp.
static bool emu_release(int from, int to, bool for_block) {
    for (int i = from; i < to; i++)
        if (!emu[i].at || (emu[i].at == EMU_BARRIER) != for_block || emu[i].line != emu[from].line)
            return false;
    for (int i = from; i < to; i++) emu[i].at = NULL;
    return true;
}
static void emu_block(const char *name, int n, uint32_t *random) {
    static int order[EMU_THREADS];
    memset(emu_dynamic, 0xff, sizeof emu_dynamic);  // all bits 1: NaN
    memset(__start_emu_shared, 0xff, __stop_emu_shared - __start_emu_shared);
    for (int i = emu_ended = 0; i < n; i++) {
        if (!emu[i].stack) emu[i].stack = (char *)malloc(EMU_STACK);
        emu[i].at = NULL, emu[i].ended = false, emu[i].n_shuffles = 0;
        getcontext(&emu[i].context);
        emu[i].context.uc_stack.ss_sp = emu[i].stack, emu[i].context.uc_stack.ss_size = EMU_STACK;
        makecontext(&emu[i].context, emu_body, 0);
    }
    for (bool moved = true; moved && emu_ended < n;) {
        emu_mix(order, n, random), moved = false;
        for (int i = 0; i < n; i++) {
            emu_me = order[i];
            if (emu[emu_me].ended || emu[emu_me].at) continue;
            unsigned me = emu_me, row = me / blockDim.x;
            threadIdx = dim3(me % blockDim.x, row % blockDim.y, row / blockDim.y), moved = true;
            swapcontext(&emu_scheduler, &emu[emu_me].context);
        }
        moved |= emu_release(0, n, true);
        for (int i = 0; i < n; i += 32) moved |= emu_release(i, i + 32 < n ? i + 32 : n, false);
    }
    if (emu_ended == n) return;
    int a = 0;  // one that waits, and then one that keeps it waiting
    while (!emu[a].at) a++;
    int b = emu[a].at == EMU_BARRIER ? 0 : a / 32 * 32;
    while (b < n - 1 && !emu[b].ended && emu[b].line == emu[a].line) b++;
    int at = snprintf(emu_message, sizeof emu_message,
                      "%s, block (%u, %u): thread %d waits at %s in line %d, but thread %d ", name,
                      blockIdx.x, blockIdx.y, a, emu[a].at, emu[a].line, b);
    snprintf(emu_message + at, sizeof emu_message - at,
             emu[b].ended ? "has ended" : "waits at %s in line %d", emu[b].at, emu[b].line);
}
template <class F>
static const char *emu_launch(const char *name, dim3 grid, dim3 block, int shared, F kernel) {
    int n = block.x * block.y * block.z, n_blocks = grid.x * grid.y * grid.z;
    if (n > EMU_THREADS || shared > EMU_SHARED) return "a block has 1024 threads, 48 KiB at most";
    gridDim = grid, blockDim = block, emu_message[0] = 0;
    emu_kernel = &kernel, emu_call = [](const void *k) { (*(const F *)k)(); };
    uint32_t random = cuda_order * 2654435761u + 1;
    int *order = (int *)malloc(n_blocks * sizeof(int));
    emu_mix(order, n_blocks, &random);
    for (int i = 0; i < n_blocks && !emu_message[0]; i++) {
        unsigned row = order[i] / grid.x;
        blockIdx = dim3(order[i] % grid.x, row % grid.y, row / grid.y);
        emu_block(name, n, &random);
    }
    free(order);
    return emu_message[0] ? emu_message : NULL;
}
#define LAUNCH(kernel, grid, block, shared, ...) \
    emu_launch(#kernel, grid, block, shared, [=] { kernel(__VA_ARGS__); })
