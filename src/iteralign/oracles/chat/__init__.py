"""An oracle that is any chat model with templates."""
