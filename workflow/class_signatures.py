"""A Sphinx extension: a class is shown with the arguments of its ``__init__``. Keras's ``__new__`` would hide them."""

import inspect

from sphinx.util.inspect import stringify_signature


def show_init(app, what, name, obj, options, signature, return_annotation):
    if what == "class" and signature == "(*args, **kwargs)":
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        signature = stringify_signature(inspect.Signature(parameters))
    return signature, return_annotation


def setup(app):
    app.connect("autodoc-process-signature", show_init)
    return {"version": "1", "parallel_read_safe": True}
