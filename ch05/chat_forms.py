"""How a conversation is written for a model, told to other programs as templates.

Hugging Face's and llama.cpp's templates are Jinja's, Ollama's are Go's.
"""

from dataclasses import dataclass
from pathlib import Path

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch05.llama_tokenizer import SYSTEM


@dataclass(frozen=True)
class ChatForm:
    """The form of a conversation: two templates, and the token that ends an answer."""

    jinja: str
    go: str
    end: str


# As ch07's format_prompt writes it; that form has no place for a system message.
QUESTIONS = ChatForm(
    jinja="""{%- for message in messages %}
{%- if message['role'] == 'user' %}
{{- 'Question:\\n' + message['content'].strip() + '\\nAnswer:\\n' }}
{%- elif message['role'] == 'assistant' %}
{{- message['content'] + '\\n' }}
{%- else %}
{{- raise_exception('this model was taught no role ' + message['role']) }}
{%- endif %}
{%- endfor %}""",
    go="""{{ range .Messages }}{{ if eq .Role "user" }}Question:
{{ .Content }}
Answer:
{{ else if eq .Role "assistant" }}{{ .Content }}
{{ end }}{{ end }}""",
    end=END_OF_TEXT,
)

# As chat_ids writes it: marks say who speaks.
ROLES = ChatForm(
    jinja="""{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nSYSTEM<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}""".replace("SYSTEM", SYSTEM),
    go="""{{ if not .System }}<|im_start|>system
SYSTEM<|im_end|>
{{ end }}{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
""".replace("SYSTEM", SYSTEM),
    end="<|im_end|>",
)

FORMS = {"questions": QUESTIONS, "roles": ROLES, "none": None}


def form_of(source: str | Path, tokenizer: BPETokenizer) -> str:
    """The name of the form that a model was taught, as far as its files tell.

    ch07's finetuning leaves responses.json beside the model.
    """
    if ROLES.end in tokenizer.special_tokens:
        return "roles"
    return "questions" if (Path(source) / "responses.json").exists() else "none"
