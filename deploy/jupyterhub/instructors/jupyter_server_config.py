"""The instructors' service: formgrader, files, terminals. No kernel starts: it would run with the grader's rights."""

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

c = get_config()  # noqa: F821  (traitlets puts it there)


class NoKernels(KernelSpecManager):
    def find_kernel_specs(self) -> dict[str, str]:
        return {}

    def get_kernel_spec(self, kernel_name: str) -> None:
        raise NoSuchKernel(kernel_name)


c.ServerApp.kernel_spec_manager_class = NoKernels
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}  # a login shell would forget the environment's PATH
c.ServerApp.jpserver_extensions = {
    "nbgrader.server_extensions.formgrader": True,
    "nbgrader.server_extensions.assignment_list": False,
    "nbgrader.server_extensions.course_list": False,
    "nbgrader.server_extensions.validate_assignment": False,  # it runs notebooks
    "nbgitpuller": False,
}
