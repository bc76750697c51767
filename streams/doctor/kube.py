"""Does the cluster that placements are carried out in answer, and may we do there what we must?"""

from dataclasses import dataclass

from placement.errors import ClusterUnknown
from placement.kube.answers import Verdict
from placement.kube.door import Patience, connect
from placement.kube.kinds import Right
from streams.actuating.actuate import limits_of
from streams.actuating.kube import rights_of
from streams.doctor.findings import Finding, fail, few, ok, skip
from streams.doctor.installation import Site

_QUICK = Patience(connect_s=2.0, answer_s=3.0, all_s=3.0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found: whether Kubernetes is used at all, what is wrong with it, what we may not.

    `trouble` is why nothing could be learnt, `unknown` whether that is for our credentials.
    """

    used: bool
    host: str = ""
    trouble: str = ""
    unknown: bool = False
    missing: tuple[Right, ...] = ()


def gather(site: Site) -> Facts:
    """Ask the API server what we may do; nothing is changed."""
    settings = site.settings
    if settings.actuator != "kubernetes":
        return Facts(used=False)
    try:
        door = connect(settings.kube.kubeconfig, settings.kube.context, _QUICK)
    except ClusterUnknown as error:
        return Facts(used=True, trouble=str(error))
    try:
        missing, stopped = door.missing(rights_of(settings.kube, limits_of(settings)))
    finally:
        door.close()
    if stopped is not None:
        unknown = stopped.verdict is Verdict.UNKNOWN
        return Facts(True, door.host, stopped.message, unknown)
    return Facts(True, door.host, missing=tuple(missing))


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    if not facts.used:
        return [skip("kubernetes", "it is not used", "WEIR_ACTUATOR is local")]
    why = "placements are decided, and nothing comes of them"
    if facts.trouble:
        mend = "see WEIR_KUBE__KUBECONFIG and WEIR_KUBE__CONTEXT, and whether the server runs"
        renew = "renew the token or certificate of the kubeconfig"
        told = f"{facts.host}: {facts.trouble}" if facts.host else facts.trouble
        return [fail("kubernetes", told, why, renew if facts.unknown else mend)]
    if facts.missing:
        told = f"we may not {few([str(right) for right in facts.missing])}"
        mend = "kubectl apply -k deploy/k8s/workloads, or the same role in every further namespace"
        return [fail("kubernetes", told, why, mend)]
    return [ok("kubernetes", f"{facts.host} answers, and we may do what is needed")]
