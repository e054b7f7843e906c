"""Forms of the people pages. They check what was typed; people.py decides what is allowed."""

from __future__ import annotations

from allauth.account import forms as allauth_forms
from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator

from support_portal.accounts.models import User


class PersonForm(forms.Form):
    name = forms.CharField(max_length=150, required=False, help_text="As colleagues see it; the user name where this is empty.")
    email = forms.EmailField(label="E-mail", max_length=254, required=False)
    role = forms.ChoiceField(choices=User.Role.choices, initial=User.Role.AGENT)


class NewPersonForm(PersonForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        help_text="What they type to sign in. It cannot be changed later.",
    )
    field_order = ["username", "name", "email", "role"]


class ResetPasswordForm(allauth_forms.ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    def clean_email(self) -> str:
        """Leave out people without a password: they come by single sign-on, and a reset would get around it."""
        email: str = super().clean_email()
        self.users: list[User] = [user for user in self.users if user.has_usable_password()]
        return email
