#!/usr/bin/env bash
# Usage: ./toolkit-host.sh packer-toolkit COMMAND [ARGUMENT]...
# Runs packer-toolkit on this machine instead of in the container, because updates from the template need the person's own
# git and its credentials. It is the one that is installed, or else, through uv, that of the release of the template
# which made this repository.
set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"

fail() {
  printf 'toolkit-host.sh: %s\n' "$1" >&2
  exit 3
}

# Sets `value` to what .copier-answers.yml says of $1; a long one goes on in the next lines.
find_answer() {
  value=$(awk -v key="$1:" '
    found && /^ / { sub(/^ +/, " "); value = value $0; next }
    found { exit }
    index($0, key) == 1 { found = 1; value = substr($0, length(key) + 2) }
    END { print value }' .copier-answers.yml 2>/dev/null || true)
  case ${value} in
  \'*\')
    value=${value:1:${#value}-2}
    value=${value//\'\'/\'}
    ;;
  \"*\") value=$(printf '%b' "${value:1:${#value}-2}") ;;
  *) ;;
  esac
  [[ -n ${value} ]] || fail ".copier-answers.yml has no $1, so that it is not known which template made this repository"
}

if command -v packer-toolkit >/dev/null; then
  exec "$@"
fi
command -v uvx >/dev/null ||
  fail "this runs on your machine and needs uv; install it: https://docs.astral.sh/uv/getting-started/installation/"
find_answer _src_path
template=${value}
case ${template} in
gh:*) template=https://github.com/${template#gh:} ;;
gl:*) template=https://gitlab.com/${template#gl:} ;;
git+*) template=${template#git+} ;;
*://*) ;;
*@*:*) template=ssh://${template/:/\/} ;;
*)
  template=${template//%/%25}
  template=${template// /%20}
  template=${template//\#/%23}
  template=file://${template//\?/%3F}
  ;;
esac
find_answer _commit
# A commit after the release is recorded as v1.2.3-4-g0123abc.
[[ ! ${value} =~ -[0-9]+-g([0-9a-f]{7,})$ ]] || value=${BASH_REMATCH[1]}
exec uvx --from "packer-toolkit${TOOLKIT_EXTRAS:-} @ git+${template}@${value}#subdirectory=toolkit" "$@"
