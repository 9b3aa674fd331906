"""Pure wording shared by decisions and views: escapes, counts, instants, groups, explanations, commit messages."""
