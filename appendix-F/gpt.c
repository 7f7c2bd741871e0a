/* The GPT of chapter 4 on the operations of ops.c: forward, loss, backward, a training step, one
   token after the other with a cache, and the course's weights out of a safetensors file. */
#include "ops.c"

typedef struct {  // of a block, in the order of model.parameters(); a matrix is (out, in)
    float *scale1, *shift1, *qkv, *qkv_bias, *proj, *proj_bias;
    float *scale2, *shift2, *up, *up_bias, *down, *down_bias;
} Weights;
typedef struct {  // what a block's forward leaves for its backward: 16 C + H + 4 floats a token
    float *x, *mean1, *rstd1, *norm1, *qkv, *lse, *heads, *x2, *mean2, *rstd2, *norm2, *up, *gelu;
} Saved;
typedef struct { float *tok, *pos, *scale, *shift, *head; } Outer;  // weights outside of the blocks
typedef struct { Weights w, dw; Saved s; } Layer;
typedef struct {
    Int V, maxT, C, H, L, qkv_bias, tied, maxN, learn;
    Int size, step, N, T, chunk;           // weights; steps so far; the last batch; rows of logits
    float *memory; Int used;               // all arrays are slices of one
    int64_t *ids;
    float *all, *d_all, *m, *v;            // weights, gradients, AdamW's two averages
    Outer w, dw;
    float *x, *mean, *rstd, *final;        // after the last block
    float *branch, *logits, *losses;       // branch: what is added to the shortcut
    float *dx, *dfinal, *dnorm, *dqkv, *dheads, *dup;  // gradients, of one block after the other
    Layer layer[];
} GPT;

static float *slice(GPT *g, Int n) {  // the next n floats; while there is no memory yet: counted
    g->used += n;
    return g->memory ? g->memory + g->used - n : NULL;
}

static float *cut_weights(GPT *g, Outer *o, int gradients) {
    Int C = g->C;
    o->tok = slice(g, g->V * C), o->pos = slice(g, g->maxT * C);
    for (Int i = 0; i < g->L; i++) {
        Weights *w = gradients ? &g->layer[i].dw : &g->layer[i].w;
        w->scale1 = slice(g, C), w->shift1 = slice(g, C), w->qkv = slice(g, 3 * C * C);
        w->qkv_bias = g->qkv_bias ? slice(g, 3 * C) : NULL;
        w->proj = slice(g, C * C), w->proj_bias = slice(g, C);
        w->scale2 = slice(g, C), w->shift2 = slice(g, C);
        w->up = slice(g, 4 * C * C), w->up_bias = slice(g, 4 * C);
        w->down = slice(g, 4 * C * C), w->down_bias = slice(g, C);
    }
    o->scale = slice(g, C), o->shift = slice(g, C);
    o->head = g->tied ? o->tok : slice(g, g->V * C);
    return o->tok;
}

static void cut(GPT *g) {  // give every array its place
    Int N = g->maxN, NC = N * g->C;
    g->ids = (int64_t *)slice(g, 2 * N);
    Int before = g->used;
    g->all = cut_weights(g, &g->w, 0), g->size = g->used - before;
    for (Int i = 0; i < g->L; i++) {
        Saved *s = &g->layer[i].s;
        if (i && !g->learn) *s = g->layer[0].s;  // no backward will ask: all blocks share them
        s->qkv = slice(g, 3 * NC);               // but this, for it is the cache of keys and values
        if (i && !g->learn) continue;
        s->x = slice(g, NC), s->mean1 = slice(g, N), s->rstd1 = slice(g, N);
        s->norm1 = slice(g, NC), s->lse = slice(g, N * g->H);
        s->heads = slice(g, NC), s->x2 = slice(g, NC), s->mean2 = slice(g, N);
        s->rstd2 = slice(g, N), s->norm2 = slice(g, NC);
        s->up = slice(g, 4 * NC), s->gelu = slice(g, 4 * NC);
    }
    g->x = slice(g, NC), g->mean = slice(g, N), g->rstd = slice(g, N), g->final = slice(g, NC);
    g->branch = slice(g, NC), g->losses = slice(g, N), g->logits = slice(g, g->chunk * g->V);
    if (!g->learn) return;
    g->d_all = cut_weights(g, &g->dw, 1), g->m = slice(g, g->size), g->v = slice(g, g->size);
    g->dx = slice(g, NC), g->dfinal = slice(g, NC), g->dnorm = slice(g, NC);
    g->dqkv = slice(g, 3 * NC), g->dheads = slice(g, NC), g->dup = slice(g, 4 * NC);
}

// A model for batches of at most maxN >= maxT tokens; NULL: no memory.  ch04/gpt.py:133 `class GPTM`
API GPT *gpt_new(Int V, Int maxT, Int C, Int H, Int L, Int qkv_bias, Int tied, Int maxN,
                 Int learn) {
    GPT *g = calloc(1, sizeof(GPT) + L * sizeof(Layer));
    if (!g) return NULL;
    g->V = V, g->maxT = maxT, g->C = C, g->H = H, g->L = L, g->qkv_bias = qkv_bias, g->tied = tied;
    g->maxN = maxN, g->learn = learn, g->chunk = smaller(maxN, (1 << 25) / V + 1);  // 128 MiB
    cut(g);
    g->memory = calloc(g->used, sizeof(float));
    if (!g->memory) return free(g), NULL;
    g->used = 0, cut(g);
    return g;
}
API void gpt_free(GPT *g) { free(g->memory), free(g); }
API float *gpt_weights(GPT *g) { return g->all; }
API float *gpt_gradients(GPT *g) { return g->d_all; }
API float *gpt_final(GPT *g) { return g->final; }
API Int gpt_size(GPT *g) { return g->size; }

// ids (B, T - first) -> g->final (B, T - first, C): the tokens from position `first` on. With first
// > 0, B is 1, and what this computed for the earlier tokens still stands in each block's qkv: a
// cache of keys and values.        ch04/gpt.py:168 `def features(`, ch04/kv_cache.py:1 `key-value`
API void gpt_features(GPT *g, const int64_t *ids, Int first, Int B, Int T) {
    Int N = B * (T - first), C = g->C;
    g->N = N, g->T = T, memcpy(g->ids, ids, N * sizeof *ids);
    embedding_forward(g->layer[0].s.x, ids, g->w.tok, g->w.pos + first * C, B, T - first, C);
    for (Int i = 0; i < g->L; i++) {  // a block:         ch04/gpt.py:127 `def forward(`
        Weights *w = &g->layer[i].w;
        Saved *s = &g->layer[i].s;
        layernorm_forward(s->norm1, s->mean1, s->rstd1, s->x, w->scale1, w->shift1, N, C);
        linear_forward(s->qkv + first * 3 * C, s->norm1, w->qkv, w->qkv_bias, N, C, 3 * C);
        attention_forward(s->heads, s->lse, s->qkv, first, B, T, C, g->H);
        linear_forward(g->branch, s->heads, w->proj, w->proj_bias, N, C, C);
        shortcut_forward(s->x2, s->x, g->branch, N * C);
        layernorm_forward(s->norm2, s->mean2, s->rstd2, s->x2, w->scale2, w->shift2, N, C);
        linear_forward(s->up, s->norm2, w->up, w->up_bias, N, C, 4 * C);
        gelu_forward(s->gelu, s->up, N * 4 * C);
        linear_forward(g->branch, s->gelu, w->down, w->down_bias, N, 4 * C, C);
        shortcut_forward(i + 1 < g->L ? g->layer[i + 1].s.x : g->x, s->x2, g->branch, N * C);
    }
    layernorm_forward(g->final, g->mean, g->rstd, g->x, g->w.scale, g->w.shift, N, C);
}

// The mean loss of the batch, and with `learn` the head's gradients, some rows of logits at a time.
// ch05/bonus/faster_training.py:56 `class HeadLoss`
API double gpt_loss(GPT *g, const int64_t *targets, Int learn) {
    Int N = g->N, C = g->C, V = g->V, count = 0;
    double total = 0;
    for (Int n = 0; n < N; n++) count += targets[n] >= 0;
    for (Int n = 0; n < N; n += g->chunk) {
        Int rows = smaller(g->chunk, N - n);
        float *x = g->final + n * C;
        linear_forward(g->logits, x, g->w.head, NULL, rows, C, V);
        cross_entropy(g->losses + n, g->logits, targets + n, rows, V, count);
        if (learn)
            linear_backward(g->dfinal + n * C, g->dw.head, NULL, g->logits, x, g->w.head, rows, C,
                            V);
    }
    for (Int n = 0; n < N; n++) total += g->losses[n];
    return count ? total / count : 0;
}

// From the head's gradients, which gpt_loss left, to all.  ch05/gpt_train.py:89 `loss.backward()`
API void gpt_backward(GPT *g) {
    Int N = g->N, C = g->C;
    memset(g->dx, 0, sizeof(float) * N * C);
    layernorm_backward(g->dx, g->dw.scale, g->dw.shift, g->dfinal, g->x, g->mean, g->rstd,
                       g->w.scale, N, C);
    for (Int i = g->L - 1; i >= 0; i--) {  // dx goes on by the shortcut; the branches add to it
        Weights *w = &g->layer[i].w, *d = &g->layer[i].dw;
        Saved *s = &g->layer[i].s;
        linear_backward(g->dup, d->down, d->down_bias, g->dx, s->gelu, w->down, N, 4 * C, C);
        gelu_backward(g->dup, g->dup, s->up, N * 4 * C);
        linear_backward(g->dnorm, d->up, d->up_bias, g->dup, s->norm2, w->up, N, C, 4 * C);
        layernorm_backward(g->dx, d->scale2, d->shift2, g->dnorm, s->x2, s->mean2, s->rstd2,
                           w->scale2, N, C);
        linear_backward(g->dheads, d->proj, d->proj_bias, g->dx, s->heads, w->proj, N, C, C);
        attention_backward(g->dqkv, g->dheads, s->heads, s->lse, s->qkv, N / g->T, g->T, C, g->H);
        linear_backward(g->dnorm, d->qkv, d->qkv_bias, g->dqkv, s->norm1, w->qkv, N, C, 3 * C);
        layernorm_backward(g->dx, d->scale1, d->shift1, g->dnorm, s->x, s->mean1, s->rstd1,
                           w->scale1, N, C);
    }
    embedding_backward(g->dw.tok, g->dw.pos, g->dx, g->ids, N / g->T, g->T, C);
}

// The loss and all gradients of a batch, in place of those before.  ch05/gpt_train.py:88 `zero_grad`
API double gpt_learn(GPT *g, const int64_t *ids, const int64_t *targets, Int B, Int T) {
    memset(g->d_all, 0, sizeof(float) * g->size);
    gpt_features(g, ids, 0, B, T);
    double loss = gpt_loss(g, targets, 1);
    gpt_backward(g);
    return loss;
}

// One step of AdamW with them.                          ch05/gpt_train.py:90 `optimizer.step()`
API void gpt_update(GPT *g, float lr, float beta1, float beta2, float eps, float decay) {
    adamw(g->all, g->d_all, g->m, g->v, g->size, ++g->step, lr, beta1, beta2, eps, decay);
}

/* ---- The course's weights: a safetensors file, in GPT-2's layout ----------------------------- */

static float from_half(int h) {  // 16 bits: 1 sign, 5 exponent, 10 fraction; no weight is infinite
    int e = h >> 10 & 31, f = h & 1023;
    return (h >> 15 ? -1 : 1) * (e ? ldexpf(1024 + f, e - 25) : ldexpf(f, -24));
}

// One tensor of n numbers; with columns > 0 it is stored as (in, out) and turned. 0: it is there.
static int read_tensor(FILE *f, const char *header, Int start, const char *name, float *to, Int n,
                       Int columns) {
    char key[96];
    snprintf(key, sizeof key, "\"transformer.%s\":", name);
    const char *at = strstr(header, key);
    if (!at) snprintf(key, sizeof key, "\"%s\":", name), at = strstr(header, key);
    const char *type = at ? strstr(at, "\"dtype\":\"") : NULL;
    const char *offsets = type ? strstr(type, "\"data_offsets\":[") : NULL;
    if (!offsets) return 1;
    int half = !strncmp(type + 9, "F16\"", 4), bytes = half ? 2 : 4;
    char *next;
    Int begin = strtoll(offsets + 16, &next, 10), end = *next ? strtoll(next + 1, NULL, 10) : 0;
    if ((!half && strncmp(type + 9, "F32\"", 4)) || begin < 0 || end - begin != n * bytes) return 1;
    unsigned char *raw = malloc(n * bytes);
    int bad = !raw || fseek(f, start + begin, SEEK_SET) || fread(raw, bytes, n, f) != (size_t)n;
    for (Int i = 0; i < n && !bad; i++) {
        Int j = columns ? i % columns * (n / columns) + i / columns : i;
        if (half) to[j] = from_half(raw[2 * i] | raw[2 * i + 1] << 8);
        else memcpy(to + j, raw + 4 * i, 4);
    }
    return free(raw), bad;
}

// Read all weights; NULL, or what is wrong.            ch05/gpt_weights.py:90 `def load_gpt2_state(`
API const char *gpt_load(GPT *g, const char *path) {
    static const struct { const char *name; Int in, out; } part[] = {  // units of C; in 0: a vector
        {"ln_1.weight", 0, 1}, {"ln_1.bias", 0, 1}, {"attn.c_attn.weight", 1, 3},
        {"attn.c_attn.bias", 0, 3}, {"attn.c_proj.weight", 1, 1}, {"attn.c_proj.bias", 0, 1},
        {"ln_2.weight", 0, 1}, {"ln_2.bias", 0, 1}, {"mlp.c_fc.weight", 1, 4},
        {"mlp.c_fc.bias", 0, 4}, {"mlp.c_proj.weight", 4, 1}, {"mlp.c_proj.bias", 0, 1}};
    static _Thread_local char name[64];
    FILE *f = fopen(path, "rb");
    uint64_t length;
    if (!f || fread(&length, 8, 1, f) != 1 || length > 1 << 26)
        return f ? fclose(f) : 0, "the file: it cannot be read";
    char *header = calloc(length + 1, 1);
    int bad = !header || fread(header, 1, length, f) != length;
    Int C = g->C, start = 8 + length, n;
    float *to = g->all;
    #define READ(count, columns, ...) \
        if (n = count, !bad) \
            snprintf(name, sizeof name, __VA_ARGS__), \
                bad = read_tensor(f, header, start, name, to, n, columns), to += n
    READ(g->V * C, 0, "wte.weight");
    READ(g->maxT * C, 0, "wpe.weight");
    for (Int i = 0; i < g->L; i++)
        for (int j = 0; j < 12; j++)
            if (j != 3 || g->qkv_bias)
                READ((part[j].in ? part[j].in * C : 1) * part[j].out * C,
                     part[j].in ? part[j].out * C : 0, "h.%d.%s", (int)i, part[j].name);
    READ(C, 0, "ln_f.weight");
    READ(C, 0, "ln_f.bias");
    if (!g->tied) READ(g->V * C, 0, "lm_head.weight");
    fclose(f), free(header);
    return bad ? name : NULL;
}
