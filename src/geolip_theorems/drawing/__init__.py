"""What figures, tables and cards are made of; knows no question and no page."""
