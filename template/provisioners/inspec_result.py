"""Decide from the auditor's JSON report whether the machine has passed its controls.

Usage: inspec_result.py REPORT EXIT_CODE. inspec.sh passes the auditor's exit code. With
INSPEC_REQUIRED=true, an image follows: all profiles must be loaded, and at least one check must
have passed. Requires Python 3.7 and no packages.
"""

import json
import os
import sys

report, code = sys.argv[1], int(sys.argv[2])
required = os.environ["INSPEC_REQUIRED"] == "true"
broken = False
failed, passed, reasons, skipped = [], [], [], []

try:
    with open(report, encoding="utf-8") as file:
        profiles = json.load(file)["profiles"]
    if not profiles:
        reasons.append("the auditor's report has no profiles")
    for profile in profiles or []:
        # A dependency that does not support the machine appears only in the profile that lists it.
        dependencies = [each for each in profile.get("depends") or [] if each.get("status")]
        for each in [profile, *dependencies]:
            if each.get("status") == "loaded":
                continue
            broken = broken or each.get("status") == "failed"
            state = "could not be loaded" if each.get("status") == "failed" else "was skipped"
            message = str(each.get("status_message") or "").strip() or "no reason given"
            reason = message.splitlines()[0][:200].rstrip(".")
            reasons.append(f"the profile {each.get('name')} {state}: {reason}")
        for control in profile.get("controls") or []:
            for result in control.get("results") or []:
                status = result.get("status")
                group = passed if status == "passed" else skipped if status == "skipped" else failed
                group.append(str(control.get("id")))
except FileNotFoundError:
    reasons.append("no report: the machine could not be reached, or the profile cannot be read")
except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
    reasons.append(f"the auditor's report cannot be read: {error}")

if failed:
    names = list(dict.fromkeys(failed))  # a control can have several results
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    reasons.append(f"controls failed: {', '.join(names[:5])}{more}")
elif code:
    reasons.append(f"the auditor failed with exit code {code}")
elif not passed and not reasons:
    reasons.append("all checks were skipped" if skipped else "the profile has no checks")
reason = "; ".join(dict.fromkeys(reasons))  # a profile may be listed twice

if failed or code or broken:
    sys.exit(f"InSpec: FAILED: {reason}")
if required and reasons:
    hint = "change inspec/, or accept an untested image with -var skip_inspec=true"
    sys.exit(f"InSpec: FAILED, no image is created: {reason}; {hint}")
if not passed:
    print(f"InSpec: SKIPPED, no control was checked: {reason}")
else:
    result = f"InSpec: checks passed: {len(passed)}, skipped: {len(skipped)}"
    print("; ".join([result, *reasons]))
