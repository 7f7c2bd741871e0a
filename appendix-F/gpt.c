// The GPT of chapter 4 on the operations of ops.c: forward, loss, backward, a step, its file.
#include "ops.c"

// Arrays under their names, and as a list to give them their places.
typedef union {  // a block's weights, or their gradients, as in model.parameters(); all (out, in)
    struct { float *scale1, *shift1, *qkv, *qkv_bias, *proj, *proj_bias;
             float *scale2, *shift2, *up, *up_bias, *down, *down_bias; };
    float *each[12];
} Weights;
typedef union {  // what a block's forward leaves for its backward
    struct { float *x, *mean1, *rstd1, *norm1, *qkv, *lse, *heads;
             float *x2, *mean2, *rstd2, *norm2, *up, *gelu; };
    float *each[13];
} Saved;
typedef struct { float *tok, *pos, *scale, *shift, *head; } Ends;  // weights outside of the blocks
typedef struct { Weights w, dw; Saved s; } Block;
typedef struct {
    Int V, maxT, C, H, L, qkv_bias, tied, maxN;
    Int size, step, N, T, chunk, used;     // weights; steps so far; the last batch; rows of logits
    float *memory, *all, *d_all, *m, *v;   // weights, gradients, AdamW's averages: slices of memory
    int64_t *ids;
    Ends w, dw;
    union {  // after the last block; what is added to the shortcut; gradients, of a block at a time
        struct { float *x, *mean, *rstd, *final, *branch, *losses;
                 float *dx, *dfinal, *dnorm, *dqkv, *dheads, *dup; };
        float *each[12];
    };
    float *logits;
    Block block[];
} GPT;

static float *slice(GPT *g, Int n) {  // the next n floats; before there is memory, they are counted
    g->used += n;
    return g->memory && n ? g->memory + g->used - n : NULL;
}

static float *cut_weights(GPT *g, Ends *ends, int gradients) {  // one array in all: flat loops do
    Int C = g->C, CC = C * C;
    Int sizes[] = {C, C, 3 * CC, g->qkv_bias * 3 * C, CC, C, C, C, 4 * CC, 4 * C, 4 * CC, C};
    ends->tok = slice(g, g->V * C), ends->pos = slice(g, g->maxT * C);
    for (Int i = 0; i < g->L; i++)
        for (int j = 0; j < 12; j++)
            (gradients ? &g->block[i].dw : &g->block[i].w)->each[j] = slice(g, sizes[j]);
    ends->scale = slice(g, C), ends->shift = slice(g, C);
    return ends->head = g->tied ? ends->tok : slice(g, g->V * C), ends->tok;
}

static void cut(GPT *g) {  // give every array its place
    Int C = g->C, N = g->maxN;
    Int saved[] = {C, 1, 1, C, 3 * C, g->H, C, C, 1, 1, C, 4 * C, 4 * C};  // floats for each token
    Int others[] = {C, 1, 1, C, C, 1, C, C, C, 3 * C, C, 4 * C};
    g->used = 0, g->ids = (int64_t *)slice(g, 2 * N);
    g->all = cut_weights(g, &g->w, 0), g->size = g->used - 2 * N;
    g->d_all = cut_weights(g, &g->dw, 1), g->m = slice(g, g->size), g->v = slice(g, g->size);
    for (Int i = 0; i < g->L; i++)
        for (int j = 0; j < 13; j++) g->block[i].s.each[j] = slice(g, N * saved[j]);
    for (int j = 0; j < 12; j++) g->each[j] = slice(g, N * others[j]);
    g->logits = slice(g, g->chunk * g->V);
}

// A model for batches of up to maxN >= maxT tokens; NULL: no memory. Zeros that nothing writes to,
// such as the gradients of a model that only talks, take none.  ch04/gpt.py:133 `class GPTModel`
API GPT *gpt_new(Int V, Int maxT, Int C, Int H, Int L, Int qkv_bias, Int tied, Int maxN) {
    GPT *g = calloc(1, sizeof(GPT) + L * sizeof(Block));
    if (!g) return NULL;
    g->V = V, g->maxT = maxT, g->C = C, g->H = H, g->L = L, g->qkv_bias = qkv_bias, g->tied = tied;
    g->maxN = maxN, g->chunk = smaller(maxN, (1 << 25) / V + 1);  // 128 MiB of logits at a time
    cut(g);
    if (!(g->memory = calloc(g->used, sizeof(float)))) return free(g), NULL;
    return cut(g), g;
}
API void gpt_free(GPT *g) { free(g->memory), free(g); }
API float *gpt_weights(GPT *g) { return g->all; }
API float *gpt_gradients(GPT *g) { return g->d_all; }
API float *gpt_final(GPT *g) { return g->final; }
API Int gpt_size(GPT *g) { return g->size; }

// ids (B, T - first) -> g->final (B, T - first, C), the tokens from position `first` on. If first >
// 0, B is 1, and the earlier tokens are in each block's qkv, which earlier calls left: this is a
// cache of keys and values, ch04/kv_cache.py:1 `key-value cache`.  ch04/gpt.py:168 `def features(`
API void gpt_features(GPT *g, const int64_t *ids, Int first, Int B, Int T) {
    Int N = B * (T - first), C = g->C;
    g->N = N, g->T = T, memcpy(g->ids, ids, N * sizeof *ids);
    embedding_forward(g->block[0].s.x, ids, g->w.tok, g->w.pos + first * C, B, T - first, C);
    for (Int i = 0; i < g->L; i++) {  // a block, ch04/gpt.py:127 `def forward(`
        Weights *w = &g->block[i].w;
        Saved *s = &g->block[i].s;
        layernorm_forward(s->norm1, s->mean1, s->rstd1, s->x, w->scale1, w->shift1, N, C);
        linear_forward(s->qkv + first * 3 * C, s->norm1, w->qkv, w->qkv_bias, N, C, 3 * C);
        attention_forward(s->heads, s->lse, s->qkv, first, B, T, C, g->H);
        linear_forward(g->branch, s->heads, w->proj, w->proj_bias, N, C, C);
        shortcut_forward(s->x2, s->x, g->branch, N * C);
        layernorm_forward(s->norm2, s->mean2, s->rstd2, s->x2, w->scale2, w->shift2, N, C);
        linear_forward(s->up, s->norm2, w->up, w->up_bias, N, C, 4 * C);
        gelu_forward(s->gelu, s->up, N * 4 * C);
        linear_forward(g->branch, s->gelu, w->down, w->down_bias, N, 4 * C, C);
        shortcut_forward(i + 1 < g->L ? g->block[i + 1].s.x : g->x, s->x2, g->branch, N * C);
    }
    layernorm_forward(g->final, g->mean, g->rstd, g->x, g->w.scale, g->w.shift, N, C);
}

// The batch's mean loss, and with `learn` the head's gradients, some rows of logits at a time.
// ch05/bonus/faster_training.py:26 `class HeadLoss`
API double gpt_loss(GPT *g, const int64_t *targets, Int learn) {
    Int N = g->N, C = g->C, V = g->V, count = 0;
    double total = 0;
    for (Int n = 0; n < N; n++) count += targets[n] >= 0;
    for (Int n = 0; n < N; n += g->chunk) {
        Int rows = smaller(g->chunk, N - n);
        float *x = g->final + n * C, *dx = g->dfinal + n * C;
        linear_forward(g->logits, x, g->w.head, NULL, rows, C, V);
        cross_entropy(g->losses + n, g->logits, targets + n, rows, V, count + !count);
        if (learn) linear_backward(dx, g->dw.head, NULL, g->logits, x, g->w.head, rows, C, V);
    }
    for (Int n = 0; n < N; n++) total += g->losses[n];
    return count ? total / count : 0;
}

// From the head's gradients, which gpt_loss left, to all.  ch05/gpt_train.py:89 `loss.backward()`
static void backward(GPT *g) {
    Int N = g->N, C = g->C;
    float *dx = g->dx, *dn = g->dnorm;  // dx goes by the shortcuts, the branches add to it
    memset(dx, 0, sizeof(float) * N * C);
    layernorm_backward(dx, g->dw.scale, g->dw.shift, g->dfinal, g->x, g->mean, g->rstd,
                       g->w.scale, N, C);
    for (Int i = g->L - 1; i >= 0; i--) {
        Weights *w = &g->block[i].w, *d = &g->block[i].dw;
        Saved *s = &g->block[i].s;
        linear_backward(g->dup, d->down, d->down_bias, dx, s->gelu, w->down, N, 4 * C, C);
        gelu_backward(g->dup, g->dup, s->up, N * 4 * C);
        linear_backward(dn, d->up, d->up_bias, g->dup, s->norm2, w->up, N, C, 4 * C);
        layernorm_backward(dx, d->scale2, d->shift2, dn, s->x2, s->mean2, s->rstd2, w->scale2, N,
                           C);
        linear_backward(g->dheads, d->proj, d->proj_bias, dx, s->heads, w->proj, N, C, C);
        attention_backward(g->dqkv, g->dheads, s->heads, s->lse, s->qkv, N / g->T, g->T, C, g->H);
        linear_backward(dn, d->qkv, d->qkv_bias, g->dqkv, s->norm1, w->qkv, N, C, 3 * C);
        layernorm_backward(dx, d->scale1, d->shift1, dn, s->x, s->mean1, s->rstd1, w->scale1, N, C);
    }
    embedding_backward(g->dw.tok, g->dw.pos, dx, g->ids, N / g->T, g->T, C);
}

// The loss of a batch; all gradients, in place of those before.  ch05/gpt_train.py:88 `zero_grad(`
API double gpt_learn(GPT *g, const int64_t *ids, const int64_t *targets, Int B, Int T) {
    memset(g->d_all, 0, sizeof(float) * g->size);
    gpt_features(g, ids, 0, B, T);
    double loss = gpt_loss(g, targets, 1);
    return backward(g), loss;
}

// A step of AdamW with these gradients.  ch05/gpt_train.py:90 `optimizer.step()`
API void gpt_update(GPT *g, float lr, float beta1, float beta2, float eps, float decay) {
    adamw(g->all, g->d_all, g->m, g->v, g->size, ++g->step, lr, beta1, beta2, eps, decay);
}

static float from_half(int h) {  // 16 bits: 1 sign, 5 exponent, 10 fraction; no weight is infinite
    int e = h >> 10 & 31, f = h & 1023;
    return (h >> 15 ? -1 : 1) * (e ? ldexpf(1024 + f, e - 25) : ldexpf(f, -24));
}

// One tensor of a safetensors file, kept as (n, m), into `to` as (m, n). 0: all is well.
static int read_tensor(FILE *file, const char *header, const char *name, float *to, Int n, Int m) {
    const char *at = strstr(header, name), *type = at ? strstr(at, "\"dtype\":\"") : NULL;
    const char *offsets = type ? strstr(type, "\"data_offsets\":[") : NULL;
    if (!offsets || (strncmp(type + 9, "F16\"", 4) && strncmp(type + 9, "F32\"", 4))) return 1;
    Int size = type[10] == '1' ? 2 : 4, begin = strtoll(offsets + 16, (char **)&at, 10);
    if (*at != ',' || begin < 0 || strtoll(at + 1, NULL, 10) - begin != n * m * size) return 1;
    unsigned char *raw = malloc(n * m * size), *next = raw;
    int bad = !raw || fseek(file, 8 + strlen(header) + begin, SEEK_SET) ||
              fread(raw, size, n * m, file) != (size_t)(n * m);
    for (Int i = 0; i < n && !bad; i++)
        for (Int j = 0; j < m; j++, next += size)
            if (size == 2) to[j * n + i] = from_half(next[0] | next[1] << 8);
            else memcpy(to + j * n + i, next, 4);
    return free(raw), bad;
}

// Read all weights; NULL, or the name of a wrong one.  ch05/gpt_weights.py:85 `def load_gpt2_state`
API const char *gpt_load(GPT *g, const char *path) {
    static _Thread_local char name[64];
    Int C = g->C, L = g->L;
    struct { const char *name; Int n, m; } parts[] = {
        {"wte.weight\":", 1, g->V * C}, {"wpe.weight\":", 1, g->maxT * C},
        {"h.%d.ln_1.weight\":", 1, C}, {"h.%d.ln_1.bias\":", 1, C},  // these 12 for each block
        {"h.%d.attn.c_attn.weight\":", C, 3 * C}, {"h.%d.attn.c_attn.bias\":", g->qkv_bias, 3 * C},
        {"h.%d.attn.c_proj.weight\":", C, C}, {"h.%d.attn.c_proj.bias\":", 1, C},
        {"h.%d.ln_2.weight\":", 1, C}, {"h.%d.ln_2.bias\":", 1, C},
        {"h.%d.mlp.c_fc.weight\":", C, 4 * C}, {"h.%d.mlp.c_fc.bias\":", 1, 4 * C},
        {"h.%d.mlp.c_proj.weight\":", 4 * C, C}, {"h.%d.mlp.c_proj.bias\":", 1, C},
        {"ln_f.weight\":", 1, C}, {"ln_f.bias\":", 1, C},
        {"lm_head.weight\":", !g->tied, g->V * C}};
    uint64_t length = 0;
    FILE *file = fopen(path, "rb");
    int bad = !file || fread(&length, 8, 1, file) != 1 || length > 1 << 26;
    char *header = bad ? NULL : calloc(length + 1, 1);
    bad = !header || fread(header, 1, length, file) != length;
    float *to = g->all;
    strcpy(name, "its header");
    for (Int i = 0; i < 5 + 12 * L && !bad; i++) {
        Int j = i < 2 ? i : i < 2 + 12 * L ? 2 + (i - 2) % 12 : i - 12 * (L - 1);
        snprintf(name, sizeof name, parts[j].name, (int)((i - 2) / 12));
        if (parts[j].n) bad = read_tensor(file, header, name, to, parts[j].n, parts[j].m);
        to += parts[j].n * parts[j].m;
    }
    if (file) fclose(file);
    return free(header), bad ? name : NULL;
}
