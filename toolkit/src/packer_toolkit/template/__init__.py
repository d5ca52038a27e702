"""Updates from the template: what is new, what it would change, and taking it without a loss.

Copier renders; git merges (`merge`), because Copier's own way of putting a team's changes back
loses some of them (docs/decisions/0017).  Nothing is written into a repository before the whole
result is known (`update`), and then so that one command takes it back (`journal`).
"""
