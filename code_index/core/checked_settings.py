"""Groups of settings that are checked when they are made, and their flat form: a file or an environment.

Belongs here: names of settings, and turning broken bounds into a `SettingsError`. Does not belong here: which settings
there are (`code_index.index.settings`, `code_index.embedding.configuration`) and where their values come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.fields import FieldInfo

from code_index.core.errors import SettingsError


class CheckedSettings(BaseModel):
    """A frozen group of settings, some of which may be groups themselves.

    A setting has the name of its field, or the field's alias where the name says too little beside other settings.

    Raises:
        SettingsError: a value cannot be used; names the setting and the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_alias=True, validate_by_name=True)

    @classmethod
    def fields_by_setting(cls) -> dict[str, FieldInfo]:
        """The declaration of each setting by its name, those of inner groups in the group's place."""
        fields: dict[str, FieldInfo] = {}
        for name, field in cls.model_fields.items():
            group = _group(field)
            fields |= {field.alias or name: field} if group is None else group.fields_by_setting()
        return fields

    def by_setting(self) -> dict[str, Any]:
        """The value of each setting by its name, in the order of `fields_by_setting`."""
        values: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            values |= value.by_setting() if isinstance(value, CheckedSettings) else {field.alias or name: value}
        return values

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """The group with these settings, and defaults for the others.

        Raises:
            SettingsError: a name is unknown, or a value cannot be used.
        """
        known = cls.fields_by_setting()
        for name in values:
            if name not in known:
                raise SettingsError(f"there is no setting {name!r}. Known: {', '.join(known)}.", settings=(name,))
        return cls.model_validate(_nested(cls, values))

    def with_settings(self, values: Mapping[str, Any]) -> Self:
        """The group with these settings in place of its own.

        Raises:
            SettingsError: as `from_settings`.
        """
        return self.from_settings({**self.by_setting(), **values})

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_by_name(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else cls.__name__
            raise SettingsError(f"{name} = {first['input']!r}: {first['msg']}.", settings=(name,)) from error


def _group(field: FieldInfo) -> type[CheckedSettings] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, CheckedSettings) else None


def _nested(group: type[CheckedSettings], values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, field in group.model_fields.items():
        setting = field.alias or name
        if (inner := _group(field)) is not None:
            nested[name] = _nested(inner, values)
        elif setting in values:
            nested[setting] = values[setting]
    return nested
