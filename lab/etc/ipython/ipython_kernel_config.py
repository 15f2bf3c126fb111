"""A kernel of this .venv calls its Python's version 3, and says no more.

JupyterLab writes the version into every notebook that it opens. With 3.12.4 in one place and 3.13.1
in another, each chapter that was only looked at would ask to be saved, and be changed for git.
"""

from ipykernel.ipkernel import IPythonKernel

IPythonKernel.language_info["version"] = "3"
