"""Typical wrong answers to the exercises of appendix F."""

from appendix_f.checks import (
    check_f_1,
    check_f_2,
    check_f_3,
    check_f_4,
    check_f_5,
    check_f_6,
    check_f_7,
    check_f_8,
)

# ---- F.1


def row_strides(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def columns_first(shape):
    return row_strides(shape[::-1])[::-1]


def in_bytes(shape):
    return tuple(4 * stride for stride in row_strides(shape))


def element(memory, start, strides, index):
    return memory[start + sum(s * i for s, i in zip(strides, index))]


def from_the_first(memory, start, strides, index):
    return element(memory, 0, strides, index)


# ---- F.2 to F.6: bodies in C

SOFTMAX = """
    for (int64_t n = 0; n < N; n++) {
        float largest = x[n * V], sum = 0;
        for (int64_t v = 1; v < V; v++)
            if (x[n * V + v] > largest) largest = x[n * V + v];
        for (int64_t v = 0; v < V; v++) sum += out[n * V + v] = expf(x[n * V + v] - largest);
        for (int64_t v = 0; v < V; v++) out[n * V + v] /= sum;
    }
"""
WHOLE_SUM = """
    float sum = 0;
    for (int64_t i = 0; i < N * V; i++) sum += out[i] = expf(x[i]);
    for (int64_t i = 0; i < N * V; i++) out[i] /= sum;
"""
GELU = """
    for (int64_t i = 0; i < n; i++) {
        float t = tanhf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
        float du = 0.7978845608f * (1 + 3 * 0.044715f * x[i] * x[i]);
        dx[i] = dout[i] * 0.5f * (1 + t + x[i] * (1 - t * t) * du);
    }
"""
COSH = GELU.replace("(1 - t * t)", "slope").replace(
    "float du", "float c = coshf(0.7978845608f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));"
    "float slope = 1 / c / c * (c / c); float du"
)  # fmt: skip
PRODUCT = """
    for (int64_t n = 0; n < N; n++) {
        for (int64_t o = 0; o < O; o++) out[n * O + o] = 0;
        for (int64_t i = 0; i < I; i++)
            for (int64_t o = 0; o < O; o++) out[n * O + o] += x[n * I + i] * W(i * O + o);
    }
"""
DEFINITION = """
    for (int64_t n = 0; n < N; n++)
        for (int64_t o = 0; o < O; o++) {
            out[n * O + o] = 0;
            for (int64_t i = 0; i < I; i++) out[n * O + o] += x[n * I + i] * W(i * O + o);
        }
"""
ROPE = """
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < D / 2; i++) {
            float c = cosf(angle[n * (D / 2) + i]), s = sinf(angle[n * (D / 2) + i]);
            float a = x[n * D + i], b = x[n * D + i + D / 2];
            out[n * D + i] = a * c - b * s;
            out[n * D + i + D / 2] = b * c + a * s;
        }
"""
TURNED_ON = ROPE.replace("x[", "dout[").replace("out[n * D + i] =", "dx[n * D + i] =")
TURNED_ON = TURNED_ON.replace("out[n * D + i + D / 2] =", "dx[n * D + i + D / 2] =")
TURNED_BACK = TURNED_ON.replace("c - b * s", "c + b * s").replace("c + a * s", "c - a * s")
NEIGHBOURS = ROPE.replace("D + i + D / 2]", "D + 2 * i + 1]").replace("D + i]", "D + 2 * i]")
RMSNORM = """
    for (int64_t n = 0; n < N; n++) {
        float squares = 0, dot = 0;
        for (int64_t c = 0; c < C; c++) squares += x[n * C + c] * x[n * C + c];
        float r = 1 / sqrtf(squares / C + 1e-5f);
        for (int64_t c = 0; c < C; c++) dot += dout[n * C + c] * scale[c] * x[n * C + c] * r;
        for (int64_t c = 0; c < C; c++)
            dx[n * C + c] = r * (dout[n * C + c] * scale[c] - x[n * C + c] * r * dot / C);
    }
"""

# ---- F.7


def linear_cost(N, I, O):  # noqa: E741
    return 2 * N * I * O + N * O, 4 * (N * I + I * O + O + N * O)


def seconds(operations, n_bytes, peak, bandwidth):
    return max(operations / peak, n_bytes / bandwidth)


# ---- F.8

SCAN = """
    __shared__ float s[64];
    int i = threadIdx.x;
    s[i] = x[i];
    for (int step = 1; step < 64; step *= 2) {
        __syncthreads();
        float before = i >= step ? s[i - step] : 0;
        __syncthreads();
        s[i] += before;
    }
    out[i] = s[i];
"""
GIVEN = SCAN.replace("        __syncthreads();\n", "")
ONE_BARRIER = SCAN[: SCAN.rindex("        __syncthreads();\n")]
ONE_BARRIER += SCAN[SCAN.rindex("        __syncthreads();\n") :].replace(
    "__syncthreads();\n", "\n", 1
)
INSIDE_IF = """
    __shared__ float s[64];
    int i = threadIdx.x;
    s[i] = x[i];
    __syncthreads();
    for (int step = 1; step < 64; step *= 2)
        if (i >= step) {
            float before = s[i - step];
            __syncthreads();
            s[i] += before;
        }
    out[i] = s[i];
"""

WRONG = [
    (check_f_1, (columns_first, element), "counts columns first"),
    (check_f_1, (in_bytes, element), "is in bytes"),
    (check_f_1, (row_strides, from_the_first), "add its start"),
    (check_f_2, (SOFTMAX.replace("/= sum", "/= 1"),), "not divided by their sum"),
    (check_f_2, (SOFTMAX.replace(" - largest", ""),), "subtract the row's largest score"),
    (check_f_2, (WHOLE_SUM,), "each row has a sum of its own"),
    (check_f_2, (SOFTMAX.replace("v = 0; v < V", "v = 0; v <= V"),), "heap-buffer-overflow"),
    (check_f_2, (SOFTMAX.replace("sum = 0;", "sum = 0"),), "does not compile"),
    (check_f_2, (len,), "is to be given as text"),
    (check_f_3, (GELU.replace("dout[i] * ", ""),), "its product with dout"),
    (check_f_3, (GELU.replace("1 + t + x[i] * (1 - t * t) * du", "1 + t"),), "Only the first"),
    (check_f_3, (COSH,), "coshf overflows"),
    (check_f_4, (DEFINITION,), "let the innermost loop run over neighbours"),
    (check_f_4, (PRODUCT.replace("W(i * O + o)", "w[i * O + o]"),), "Read w by W(at)"),
    (check_f_4, (PRODUCT.replace("O; o++) out[n * O + o] = 0", "O; o++)"),), "set it to 0"),
    (check_f_5, (ROPE, TURNED_ON), "the way back turns it back"),
    (check_f_5, (NEIGHBOURS, TURNED_BACK), "Neighbours are paired"),
    (check_f_6, (RMSNORM.replace(" - x[n * C + c] * r * dot / C", ""),), "a term is missing"),
    (check_f_6, (RMSNORM.replace("dot / C", "dot"),), "divided by C"),
    (check_f_7, (lambda N, I, O: (N * I * O, 4), seconds), "are two operations"),  # noqa: E741
    (check_f_7, (linear_cost, lambda f, b, p, w: f / p + b / w), "reads ahead"),
    (check_f_8, (GIVEN,), "a barrier is missing"),
    (check_f_8, (ONE_BARRIER,), "there is a race"),
    (check_f_8, (INSIDE_IF,), "waits at __syncthreads()"),
]
