"""Where each operation of a training step stands: in the course, in our C, in PyTorch, in llm.c.

A test holds every line of the course that is named here. llm.c was read at f1e2ace.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One operation, and where it stands: with us, in PyTorch, in llm.c."""

    name: str
    course: str  # file:line and what stands there
    ours: str  # a function of ops.c
    torch: str
    llmc: str  # a function of train_gpt2.c
    cuda: str  # a kernel of train_gpt2_fp32.cu


AUTOGRAD = "ch05/gpt_train.py:89 `loss.backward()`"
MAPPING = (
    Operation(
        "embeddings, forward",
        "ch04/gpt.py:184 `self.tok_emb(idx) + self.pos_emb(positions)`",
        "embedding_forward",
        "embedding, add",
        "encoder_forward",
        "encoder_forward_kernel3",
    ),
    Operation(
        "embeddings, backward",
        AUTOGRAD,
        "embedding_backward",
        "embedding_dense_backward, sum",
        "encoder_backward",
        "encoder_backward_kernel",
    ),
    Operation(
        "layer norm, forward",
        "ch04/gpt.py:74 `F.layer_norm(`",
        "layernorm_forward",
        "native_layer_norm",
        "layernorm_forward",
        "layernorm_forward_kernel3",
    ),
    Operation(
        "layer norm, backward",
        AUTOGRAD,
        "layernorm_backward",
        "native_layer_norm_backward",
        "layernorm_backward",
        "layernorm_backward_kernel2",
    ),
    Operation(
        "qkv, forward",
        "ch03/multihead_attention.py:45 `self.qkv(x)`",
        "linear_forward",
        "addmm",
        "matmul_forward",
        "matmul_forward_kernel4",
    ),
    Operation(
        "qkv, backward",
        AUTOGRAD,
        "linear_backward",
        "mm, mm, sum",
        "matmul_backward",
        "cuBLAS, matmul_backward_bias_kernel4",
    ),
    Operation(
        "attention, forward",
        "ch03/multihead_attention.py:48 `scaled_dot_product_attention(`",
        "attention_forward",
        "flash attention",
        "attention_forward",
        "softmax_forward_kernel5 between two products",
    ),
    Operation(
        "attention, backward",
        AUTOGRAD,
        "attention_backward",
        "flash attention backward",
        "attention_backward",
        "softmax_autoregressive_backward_kernel, four products",
    ),
    Operation(
        "proj, forward",
        "ch03/multihead_attention.py:51 `self.proj(`",
        "linear_forward",
        "addmm",
        "matmul_forward",
        "matmul_forward_kernel4",
    ),
    Operation(
        "proj, backward",
        AUTOGRAD,
        "linear_backward",
        "mm, mm, sum",
        "matmul_backward",
        "cuBLAS, matmul_backward_bias_kernel4",
    ),
    Operation(
        "shortcut, forward",
        "ch04/gpt.py:128 `x = x + self.dropout(self.attention(`",
        "shortcut_forward",
        "add",
        "residual_forward",
        "residual_forward_kernel",
    ),
    Operation(
        "up, forward",
        "ch04/gpt.py:98 `nn.Linear(emb_dim, 4 * emb_dim)`",
        "linear_forward",
        "addmm",
        "matmul_forward",
        "matmul_forward_kernel4",
    ),
    Operation(
        "up, backward",
        AUTOGRAD,
        "linear_backward",
        "mm, mm, sum",
        "matmul_backward",
        "cuBLAS, matmul_backward_bias_kernel4",
    ),
    Operation(
        "GELU, forward",
        "ch04/gpt.py:86 `F.gelu(`",
        "gelu_forward",
        "gelu (tanh)",
        "gelu_forward",
        "gelu_forward_kernel",
    ),
    Operation(
        "GELU, backward",
        AUTOGRAD,
        "gelu_backward",
        "gelu_backward",
        "gelu_backward",
        "gelu_backward_kernel",
    ),
    Operation(
        "down, forward",
        "ch04/gpt.py:100 `nn.Linear(4 * emb_dim, emb_dim)`",
        "linear_forward",
        "addmm",
        "matmul_forward",
        "matmul_forward_kernel4",
    ),
    Operation(
        "down, backward",
        AUTOGRAD,
        "linear_backward",
        "mm, mm, sum",
        "matmul_backward",
        "cuBLAS, matmul_backward_bias_kernel4",
    ),
    Operation(
        "output layer, forward",
        "ch04/gpt.py:190 `self.out_head(`",
        "linear_forward",
        "mm",
        "matmul_forward",
        "cuBLAS",
    ),
    Operation(
        "output layer, backward",
        "ch05/bonus/faster_training.py:64 `grad @ head`",
        "linear_backward",
        "mm, addmm",
        "matmul_backward",
        "cuBLAS",
    ),
    Operation(
        "softmax and loss, both ways",
        "ch05/gpt_train.py:46 `F.cross_entropy(`",
        "cross_entropy",
        "log_softmax, nll_loss, exp, scatter_add",
        "softmax_forward, crossentropy_forward, crossentropy_softmax_backward",
        "fused_classifier_kernel3",
    ),
    Operation(
        "AdamW",
        "ch05/gpt_train.py:90 `optimizer.step()`",
        "adamw",
        "fused adam",
        "gpt2_update",
        "adamw_kernel2",
    ),
)
