"""Rules that bake recipes into tables."""

load("@bazel_skylib//lib:paths.bzl", "paths")
load(":tables.bzl", "TableInfo", merge = "merge_tables")

RecipeInfo = provider(
    "Recipes of a target and of all that it needs.",
    fields = {"files": "depset of recipes"},
)

def _output_name(source, suffix = ".table", *parts, **options):
    # The folder stays.
    return paths.replace_extension(source, suffix)

def _recipe_table_impl(ctx):
    """Writes the table of the recipes.

    Args:
      ctx: the rule's context.
    """
    files = [f for f in ctx.files.srcs if f.extension == "recipe"]
    if not files and not ctx.attr.allow_empty:
        fail("no recipes in", ctx.label)
    elif len(files) > 100 or ctx.attr.strict:
        args = ["--check"]
    else:
        args = []
    for dep in ctx.attr.deps:
        files += dep[RecipeInfo].files.to_list()
    table = ctx.actions.declare_file(_output_name(ctx.label.name))
    ctx.actions.run(
        outputs = [table],
        inputs = files,
        arguments = args + sorted([f.path for f in files], key = lambda path: path if path else "."),
        executable = ctx.executable._tool,
    )
    return [DefaultInfo(files = depset([table])), RecipeInfo(files = depset(files))]

recipe_table = rule(
    implementation = _recipe_table_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".recipe"]),
        "deps": attr.label_list(providers = [RecipeInfo]),
        "strict": attr.bool(doc = "Fail where a recipe names no oven."),
    },
    doc = "A table of recipes.",
)

# Used by the bakery's own build files.
def recipe_tables(names, visibility = None):
    for name in names:
        recipe_table(
            name = name,
            srcs = native.glob([name + "/*.recipe"]),
            visibility = visibility,
        )

# Bread of all days.
recipe_table(
    name = "bread",
    srcs = ["rye.recipe"],
    deps = [":flour"],
)
