"""Sentences about changes that end escape paths, in English."""

from __future__ import annotations

from collections.abc import Mapping

HARDEN: Mapping[str, str] = {
    "harden.none": "nothing to judge: no file describes a workload",
    "harden.nothing": "no way out; nothing has to be changed",
    "harden.ended_by_another": "what is changed for another workload of the file ends its ways out too",
    "harden.paths.one": "one way out to {goals}: {names}",
    "harden.paths.many": "{count} ways out to {goals}: {names}",
    "harden.more": "{names} and {count} more",
    "harden.set": "change ({cost}):",
    "harden.cost": "cost {total}: {application} for the application, {operator} for whoever runs it",
    "harden.alternative": "or ({cost}): {titles}",
    "harden.alternatives_more.one": "one more set of changes is enough (--verbose)",
    "harden.alternatives_more.many": "{count} more sets of changes are enough (--verbose)",
    "harden.cut": "the search was cut short: every set of changes that costs less than {bound} is named",
    "harden.lesser": "no set of changes ends what hangs on things nobody could see; these end what is certain",
    "harden.no_set": "no set of changes is enough; with all that could be made these ways out stay: {names}",
    "harden.outside": "not in this file, {where}: {title}",
    "harden.left": "by hand: {title}: {why} ({where})",
    "harden.after": "after: {verdict} (the new text, read and judged again)",
    "harden.after_outside": "after: {verdict} once the changes outside the file are made; the file alone: {alone}",
    "harden.after_nothing": "after: not judged; the new text could not be read again",
    "harden.stays": "stays: {names}",
    "harden.gains": "first, for {count} workloads with ways out:",
    "harden.gain.one": "{title}: for one workload, ends {paths} of its ways out by itself",
    "harden.gain.many": "{title}: for {count} workloads, ends {paths} of their ways out by itself",
    "harden.written": "written: {path}",
    "harden.proposed": "nothing was written; --write changes the files, --format diff prints lines for patch -p0",
    "harden.trouble": "not understood: {what} ({where}); {next}",
    "harden.summary.one": "one workload: {open} to change, {ended} contained after the change",
    "harden.summary.many": "{count} workloads: {open} to change, {ended} contained after the change",
    "made.FILE": "in the file",
    "made.ENGINE": "in the engine's configuration",
    "made.HOST": "on the host",
    "made.NETWORK": "in the network",
    "made.CLUSTER": "in the cluster's rules",
}
