"""What the gateway offers, as OpenAPI 3.1 and as a page. Pure."""

from typing import Any

from workers.gateway.control import Verb

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "required": ["what", "where", "remedy"],
    "properties": {
        "what": _TEXT | {"description": "what is wrong"},
        "where": _TEXT | {"description": "the field, header or part that it is about"},
        "remedy": _TEXT | {"description": "what to do"},
        "error": _TEXT | {"description": "what is wrong, as the Open Inference Protocol names it"},
    },
}
_TENSOR = {
    "description": "a list of numbers, nested or not, or a tensor with type and shape",
    "oneOf": [
        {"type": "array"},
        {
            "type": "object",
            "required": ["dtype", "shape"],
            "properties": {
                "dtype": _TEXT,
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "data": {"description": "a flat list, or base64 of little-endian elements"},
                "reference": _TEXT | {"description": "payload:<SHA-256> of what is stored"},
                "digest": _TEXT,
            },
        },
    ],
}
_ASKED = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "inputs": {"type": "object", "additionalProperties": _TENSOR},
        "parameters": {"type": "object", "description": "what headers may say too"},
    },
}
_ANSWER = {
    "type": "object",
    "properties": {
        "request_id": _TEXT,
        "app": _TEXT,
        "status": {"enum": ["complete", "partial"]},
        "label": {"type": ["string", "null"]},
        "confidence": {"type": ["number", "null"]},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "partial": {"type": "boolean"},
        "deadline_met": {"type": "boolean"},
        "latency_ms": {"type": "number"},
        "members": {"type": "array", "items": {"type": "object"}},
        "stages": {"type": "array", "items": {"type": "object"}},
        "clauses": {"type": "array", "items": {"type": "object"}},
        "explanation": {"type": ["string", "null"]},
    },
}
_HEADERS = (
    ("Weir-Deadline-Ms", "integer", "when the answer is due, ms from now"),
    ("Weir-Priority", "integer", "larger is more important"),
    ("Weir-Consumer", "string", "for whom it is asked, where no token says it"),
    ("Weir-Contract", "string", "the contract that it is asked under"),
    ("Weir-Explain", "boolean", "whether the answer is to be explained"),
    ("Weir-User", "string", "person whom the inputs are about, for erasure"),
    ("Weir-Conditions", "string", "circumstances of the inputs, such as light=night, camera=3"),
    ("Idempotency-Key", "string", "repeats with the same key are one request"),
    ("traceparent", "string", "W3C trace context"),
)
_ANY = {"type": "object"}
_TAGS = {"infer": "Inference", "v2": "Open Inference Protocol", "look": "Process"}


def document(verbs: tuple[tuple[str, Verb], ...], version: str) -> dict[str, Any]:
    """Return the whole as a document of OpenAPI 3.1; `verbs` are those of the control."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, tag, summary, form in _FIXED:
        paths.setdefault(path, {})[method] = _operation(path, _TAGS[tag], summary, form)
    for noun, verb in verbs:
        path, method = f"/v1{verb.path}", verb.method.lower()
        form = {"body": _ANY} if method in ("post", "put") else {}
        paths.setdefault(path, {})[method] = _operation(path, noun, verb.help, form, control=True)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weir",
            "version": version,
            "description": "Ask applications for inference; see and change what is registered.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, "Asked": _ASKED, "Answer": _ANSWER},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


_ASK = {"body": {"$ref": "#/components/schemas/Asked"}, "answer": "Answer", "headers": True}
_FIXED: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    (
        "post",
        "/v1/apps/{app}/infer",
        "infer",
        "Ask an application; with `Prefer: respond-async`, 202 and where the answer will be.",
        _ASK | {"later": True},
    ),
    (
        "get",
        "/v1/requests/{request}",
        "infer",
        "The answer to a request of before; waits up to wait_s seconds for it.",
        {"answer": "Answer", "later": True, "query": ("wait_s",)},
    ),
    ("get", "/v2", "v2", "What this server is.", {}),
    ("get", "/v2/health/live", "v2", "Whether it lives.", {}),
    ("get", "/v2/health/ready", "v2", "Whether it takes requests.", {}),
    ("get", "/v2/models/{app}", "v2", "What an application takes and gives.", {}),
    (
        "get",
        "/v2/models/{app}/ready",
        "v2",
        "Whether services are selected for an application.",
        {},
    ),
    (
        "post",
        "/v2/models/{app}/infer",
        "v2",
        "Ask an application; tensors as JSON or, with Inference-Header-Content-Length, as bytes.",
        {"body": _ANY, "headers": True},
    ),
    ("get", "/openapi.json", "look", "This document.", {}),
    ("get", "/docs", "look", "It as a page.", {}),
    ("get", "/metrics", "look", "What Prometheus reads.", {}),
)


def _operation(
    path: str, tag: str, summary: str, form: dict[str, Any], *, control: bool = False
) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    parameters += [{"name": name, "in": "query", "schema": _TEXT} for name in form.get("query", ())]
    if form.get("headers"):
        parameters += [
            {"name": name, "in": "header", "schema": {"type": kind}, "description": told}
            for name, kind, told in _HEADERS
        ]
    made: dict[str, Any] = {"tags": [tag], "summary": summary, "parameters": parameters}
    if "body" in form:
        content = {"application/json": {"schema": form["body"]}}
        made["requestBody"] = {"required": not control, "content": content}
    schema = {"$ref": f"#/components/schemas/{form['answer']}"} if "answer" in form else _ANY
    problem = {"$ref": "#/components/schemas/Problem"}
    made["responses"] = {
        "200": {"description": "done", "content": {"application/json": {"schema": schema}}},
        "default": {
            "description": "refused",
            "content": {"application/json": {"schema": problem}},
        },
    }
    if form.get("later"):
        made["responses"]["202"] = {"description": "under way; Location says where"}
    if control:
        made["security"] = [{"token": []}]
    return made


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Weir</title>
<style>body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
code,pre{background:#f3f3f3}pre{padding:.6em;overflow:auto}td{padding:.1em 1em .1em 0}</style>
</head><body><h1>Weir</h1>
<p>Ask an application:</p>
<pre>curl -H 'Content-Type: application/json' -H 'Weir-Deadline-Ms: 500' \\
  -H 'Authorization: Bearer TOKEN' -d '{"inputs": {"x": [0, 5, 0]}}' \\
  http://HOST:PORT/v1/apps/APP/infer</pre>
<p>With <code>Prefer: respond-async</code> the answer waits at <code>/v1/requests/ID</code>. The
Open Inference Protocol is served below <code>/v2</code>. Errors are JSON: <code>what</code>,
<code>where</code>, <code>remedy</code>. All of it: <a href="/openapi.json">/openapi.json</a>.</p>
<table id="paths"></table>
<script>fetch('/openapi.json').then(r=>r.json()).then(d=>{const t=document.getElementById('paths');
for(const[p,ms]of Object.entries(d.paths))for(const[m,o]of Object.entries(ms)){
const r=t.insertRow();
for(const v of[m.toUpperCase(),p,o.summary])r.insertCell().textContent=v}})</script>
</body></html>
"""
