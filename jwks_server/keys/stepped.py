"""An evaluation after the machine's clock was set forward: what waits for a duration goes on waiting for it."""

from dataclasses import replace

from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.verdict import StandIn


def stepped(evaluation: Evaluation, seconds: float) -> Evaluation:
    """Move the times that durations are counted from, such as a grace period; moments, such as ``publish_at``, stay.

    It returns the evaluation itself if nothing waits.

    Args:
        evaluation: The last evaluation of an issuer.
        seconds: How far the time went forward beyond the time that passed.
    """
    text = evaluation.policy_text
    if not (evaluation.stand_ins or evaluation.changing or evaluation.missing or text.until is not None) and (
        evaluation.gone_since is None
    ):
        return evaluation
    return replace(
        evaluation,
        last_good={
            name: last if last.since is None else replace(last, since=last.since + seconds)
            for name, last in evaluation.last_good.items()
        },
        stand_ins={name: StandIn(one.until + seconds, one.error) for name, one in evaluation.stand_ins.items()},
        gone_since=None if evaluation.gone_since is None else evaluation.gone_since + seconds,
        changed_at=evaluation.changed_at + seconds,
        changing={name: until + seconds for name, until in evaluation.changing.items()},
        missing={identity: since + seconds for identity, since in evaluation.missing.items()},
        policy_text=replace(
            text, since=text.since + seconds, until=None if text.until is None else text.until + seconds
        ),
        look_at=evaluation.look_at + seconds,
    )
