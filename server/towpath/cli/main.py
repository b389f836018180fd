"""The command itself: what it is called, and which commands it has."""

from __future__ import annotations

import click

from towpath import __version__
from towpath.cli.audit import audit
from towpath.cli.bootstrap import bootstrap
from towpath.cli.certificates import certificates
from towpath.cli.check import check
from towpath.cli.demo_certs import demo_certs
from towpath.cli.diff import diff
from towpath.cli.explain import explain
from towpath.cli.injection import injection
from towpath.cli.install import install
from towpath.cli.namespace import namespace
from towpath.cli.observe import observe
from towpath.cli.problems import problems
from towpath.cli.render import render
from towpath.cli.serve import serve
from towpath.cli.sidecars import sidecars
from towpath.cli.status import status
from towpath.cli.suggest import suggest
from towpath.cli.support import support
from towpath.cli.uninstall import uninstall
from towpath.cli.upgrade import upgrade
from towpath.cli.version import version


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="towpath")
def main() -> None:
    """A control plane for service-mesh sidecars: Kubernetes in, versioned snapshots out."""


for command in (
    *(
        serve,
        render,
        injection,
        explain,
        diff,
        observe,
        audit,
        suggest,
        problems,
        status,
        sidecars,
        support,
    ),
    *(install, upgrade, uninstall, namespace, check, version, support),
    *(bootstrap, certificates, demo_certs),
):
    main.add_command(command)
