"""The tasks: one module each. conf/task/*.yaml names them by `_target_`."""
