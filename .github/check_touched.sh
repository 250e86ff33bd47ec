#!/usr/bin/env bash
# check_touched.sh BASE HEAD COMMIT: check the submissions that HEAD (a checkout) touches since COMMIT, put into the results of BASE
# (another), whose pools they are checked against; then build the board that would come of it, elsewhere, and print its tables.
# Exit status 1 if anything has a fault, or is not on that board. FROM=maintainer: a verification.json is accepted, and changes of
# other files under results; without it both are left to a maintainer.
set -euo pipefail
base=$1 head=$2 commit=$3
prm_eval=${PRM_EVAL:-prm-eval}
new=(--new)
[ "${FROM:-}" = maintainer ] && new=()
status=0
merge_base=$(git -C "$head" merge-base "$commit" HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
while IFS= read -r -d '' path; do
  case $path in
    results/submissions/*/*/*/*) ;;
    results/submissions/*) printf 'no file of a submission: %q\n' "$path"; status=1 ;;
    *) printf 'outside of a submission, for a maintainer to look at: %q\n' "$path"
      [ "${FROM:-}" = maintainer ] || status=1 ;;
  esac
done < <(git -C "$head" diff -z --name-only "$merge_base" HEAD -- results)

# the registry and the pools are the base branch's: a request cannot bring the pool it is checked against
mkdir "$work/results"
for part in pools submissions; do
  if [ -d "$base/results/$part" ]; then cp -r "$base/results/$part" "$work/results/$part"; fi
done
mapfile -d '' folders < <(git -C "$head" diff -z --name-only "$merge_base" HEAD -- results/submissions | cut -z -d/ -f1-5 | sort -zu)
touched=()
for folder in "${folders[@]}"; do
  rm -rf "${work:?}/$folder"
  if [ -d "$head/$folder" ]; then
    mkdir -p "$work/${folder%/*}"
    cp -r "$head/$folder" "$work/$folder" # links stay links, for the checker to refuse
    touched+=("$folder")
  else
    printf 'removed, or no folder: %q\n' "$folder"
  fi
done
for folder in "${touched[@]}"; do
  echo '```'
  "$prm_eval" check "$work/$folder" "${new[@]}" || status=1
  echo '```'
done

# names that look alike and copies of another's rewards are seen only beside what is there already
if { "$prm_eval" check "$work/results" || true; } | grep -E '\[(name|copy)\]'; then status=1; fi

# a submission that breaks the board, or that the board leaves out, is not in order, whatever the checker said
if "$prm_eval" leaderboard "$work/results" -o "$work/board" >/dev/null 2>"$work/said"; then
  for folder in "${touched[@]}"; do
    if grep -F "left out: ${folder#results/}: " "$work/said"; then status=1; fi
  done
  printf '\nThe board with this request, at its own n:\n\n'
  cat "$work/board/leaderboard.md"
else
  printf 'the board cannot be built:\n'
  tail -n 5 "$work/said"
  status=1
fi
exit "$status"
