"""Warm kernels: forked in milliseconds off a process that has imported what notebooks import.

`template` is that process, `forked` the kernel that it becomes; `templates` finds or starts one whose circumstances
(`circumstances`) are a notebook's, with the modules that it imports (`preload`); `process` stands for the kernel in the
client, and `provisioner` is what Jupyter finds by its entry point ``nbops-warm``. Wherever a fork isn't safe or isn't
possible, a kernel starts cold.
"""
