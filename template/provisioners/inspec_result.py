"""Decide by the auditor's JSON report whether the machine passed its controls.

Usage: inspec_result.py REPORT EXIT_CODE, called by inspec.sh with the auditor's exit code.
With INSPEC_REQUIRED=true an image follows: every profile must be loaded, and at least one check
must have passed. Needs Python 3.7 and no packages.
"""

import json
import os
import sys


def list_mappings(value):
    """Return the mappings of a list; the auditor may write null for an empty one."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def read_profiles(report):
    """Return the profiles of a report, or the reason why it has none.

    A dependency that does not fit the machine appears only in the profile that depends on it.
    """
    try:
        with open(report, encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        return [], "no report: the machine could not be reached, or the profile cannot be read"
    except (OSError, ValueError) as error:
        return [], f"the auditor's report cannot be read: {error}"
    profiles = list_mappings(data.get("profiles") if isinstance(data, dict) else None)
    dependencies = [
        dependency
        for profile in profiles
        for dependency in list_mappings(profile.get("depends"))
        if "status" in dependency
    ]
    return profiles + dependencies, "" if profiles else "the auditor's report has no profiles"


def describe_profile(profile):
    """Return why a profile did not run, in one short line."""
    state = "could not be loaded" if profile.get("status") == "failed" else "was skipped"
    reason = str(profile.get("status_message") or "").strip() or "the auditor gives no reason"
    return f"the profile {profile.get('name')} {state}: {reason.splitlines()[0][:200].rstrip('.')}"


def main(report, code):
    """Print the result in one line, and return the exit code of the step."""
    required = os.environ["INSPEC_REQUIRED"] == "true"
    profiles, unread = read_profiles(report)
    unloaded = [profile for profile in profiles if profile.get("status") != "loaded"]
    results = [
        (str(control.get("id")), result.get("status"))
        for profile in profiles
        for control in list_mappings(profile.get("controls"))
        for result in list_mappings(control.get("results"))
    ]
    passed = [name for name, status in results if status == "passed"]
    skipped = [name for name, status in results if status == "skipped"]
    other = [name for name, status in results if status not in ("passed", "skipped")]
    failed = list(dict.fromkeys(other))  # a control has several results

    reasons = [unread] if unread else []
    reasons += dict.fromkeys(map(describe_profile, unloaded))  # a profile may be listed twice
    if failed:
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        reasons.append(f"controls failed: {', '.join(failed[:5])}{more}")
    elif code:
        reasons.append(f"the auditor failed with exit code {code}")
    elif not passed and not reasons:
        reasons.append("all checks were skipped" if skipped else "the profile has no checks")

    reason = "; ".join(reasons)
    if failed or code or any(profile.get("status") == "failed" for profile in unloaded):
        print(f"InSpec: FAILED: {reason}", file=sys.stderr)
    elif required and reasons:
        hint = "change inspec/, or accept an untested image with -var skip_inspec=true"
        print(f"InSpec: FAILED, no image is created: {reason}; {hint}", file=sys.stderr)
    elif not passed:
        print(f"InSpec: SKIPPED, no control was checked: {reason}")
        return 0
    else:
        notes = "".join(f"; {each}" for each in reasons)
        print(f"InSpec: checks passed: {len(passed)}, skipped: {len(skipped)}{notes}")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
