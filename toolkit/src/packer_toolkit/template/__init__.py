"""Updates from the template: list its releases, show what an update changes, write and undo it.

Copier renders; git merges (`merge`), because Copier's own merge loses some of a team's changes
(docs/decisions/0017).  Nothing is written into a repository before the whole result is known
(`update`), and then so that one command undoes it (`journal`).
"""
