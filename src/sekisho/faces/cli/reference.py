"""Every setting as Markdown, from the schema: `docs/operating/configuration.md` is this text."""

import json
import types
import typing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, IPvAnyAddress, IPvAnyNetwork
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sekisho.config.reload import is_at_start
from sekisho.config.schema import Config
from sekisho.faces.i18n.catalogue import Catalogue


def configuration_reference(say: Catalogue) -> str:
    """One section per table of sekisho.toml, the top level first."""
    parts = [
        f"# {say('Configuration reference')}\n",
        say(
            "`sekisho config reference` writes this page. Durations are seconds, sizes octets; relative "
            "paths count from the file's folder."
        )
        + "\n",
        say(
            "SIGHUP puts every change of it into force, except where a restart is asked for; the log then "
            "names what was left as it is."
        )
        + "\n",
    ]
    sections: list[tuple[str, type[BaseModel]]] = [("", Config)]
    while sections:
        name, model = sections.pop(0)
        rows = []
        for field_name, field in model.model_fields.items():
            inner = table_in(field.annotation)
            if inner is None:
                rows.append(_row(field_name, field, say))
            else:
                is_list = typing.get_origin(field.annotation) is tuple
                path = f"{name.strip('[]')}.{field_name}".lstrip(".")
                sections.append((f"[[{path}]]" if is_list else f"[{path}]", inner))
        parts.append(f"## `{name}`\n" if name else f"## {say('Top level')}\n")
        if model.__doc__ and model is not Config and not model.__doc__.startswith("Usage"):
            parts.append(say(" ".join(model.__doc__.split())) + "\n")
        parts.append(
            f"| {say('Setting')} | {say('Type')} | {say('Default')} | {say('Meaning')} |\n|---|---|---|---|\n"
            + "".join(rows)
        )
    return "\n".join(parts)


def _row(name: str, field: FieldInfo, say: Catalogue) -> str:
    meaning = say(field.description or "") + (f" *{say('Needs a restart.')}*" if is_at_start(field) else "")
    cells = (f"`{name}`", say(type_word(field.annotation)), _default(field, say), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(field: FieldInfo, say: Catalogue) -> str:
    if field.default_factory is not None:
        return "`{}`"
    if field.default is PydanticUndefined:
        return f"*{say('required')}*"
    if field.default is None:
        return "–"
    return f"`{json.dumps(field.default, default=str, ensure_ascii=False)}`"


def type_word(annotation: Any) -> str:
    """A word for a type, as a person writes it in TOML."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_word(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return type_word(next(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return ", ".join(json.dumps(argument) for argument in arguments)
    if origin is tuple:
        return {"number": "list of numbers", "network": "list of networks"}.get(
            type_word(arguments[0]), "list of texts"
        )
    if origin is dict:
        return "table of texts"
    words: dict[Any, str] = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
        IPvAnyAddress: "IP address",
        IPvAnyNetwork: "network",
        IPv4Address: "IP address",
    }
    return words[annotation]


def table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(table_in, typing.get_args(annotation)) if model is not None), None)
