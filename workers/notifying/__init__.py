"""Telling people: notices that remedies ask for go to a webhook and to Alertmanager."""
