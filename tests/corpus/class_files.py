"""Class lists, times and names as Canvas, Moodle, spreadsheets and people write them, and what each must come to."""

from __future__ import annotations

import unicodedata

NFC, NFD = "josé", unicodedata.normalize("NFD", "josé")
BERLIN = "Europe/Berlin"

# A time with a zone, and the same in UTC: 21:54 on 1 July 2027, five minutes before 23:59 in Berlin.
SAME = (
    *("2027-07-01 23:54:00 CEST", "2027-07-01 23:54 MESZ", "2027-07-01 23:54:00 cest", "2027-07-01 17:54 EDT"),
    *("2027-07-01 14:54:00 PDT", "2027-07-01 22:54 BST", "2027-07-02 00:54 EEST", "2027-07-02 06:54 JST"),
    *("2027-07-01T21:54:00Z", "2027-07-01T21:54:00.000Z", "20270701T215400Z", "2027-07-01 21:54 UTC"),
    *("2027-07-01 23:54:00 +0200", "2027-07-01 23:54:00 +02", "2027-07-01 23:54:00+02:00", "2027-07-01 23:54 UTC+2"),
    *("2027-07-01 23:54 UTC +02:00", "2027-07-01 23:54 GMT+0200 (CEST)", "2027-07-01 16:54 UTC-5"),
    *("Thu Jul 01 2027 23:54:00 GMT+0200 (Central European Summer Time)", "Thu Jul  1 23:54:00 CEST 2027"),
    *("Thu, 01 Jul 2027 23:54:00 +0200", "2027-07-01T23:54:00+02:00[Europe/Berlin]", "2027-07-01 23:54 Europe/Berlin"),
    *("1. Juli 2027, 23:54 Uhr MESZ", "01.07.2027 23:54 CEST", "July 1st, 2027 11:54 PM +02:00"),
)
# The same without a zone, as seen in Berlin.
LOCAL = (
    *("Thursday, 1 July 2027, 11:54 PM", "Thursday, July 1, 2027, 11:54 PM", "Donnerstag, 1. Juli 2027, 23:54"),
    *("01.07.2027 23:54", "1.7.2027 23:54:00", "01.07.27, 23:54", "Jul 1, 2027 at 11:54pm", "1. Juli 2027 um 23:54"),
    *("2027-07-01 23:54", "2027/07/01 23:54", "jeudi 1 juillet 2027, 23:54", "1 juil. 2027 à 23h54"),
    *("jueves, 1 de julio de 2027, 23:54", "giovedì, 1 luglio 2027, 23:54", "donderdag 1 juli 2027, 23:54"),
    *("quinta-feira, 1 de julho de 2027 às 23:54",),
)
# What means several moments, or none: refused, with words of the sentence.
REFUSED = {
    "2027-07-01 23:54 IST": "'IST', which is unknown here or belongs to several places",
    "2027-07-01 23:54 CST": "'CST', which is unknown",
    "2027-07-01 23:54 XYZ": "'XYZ', which is unknown",
    "2027-07-01 23:54 W. Europe Standard Time": "which is unknown",
    "2027-07-01 17:54 EST": "says EST, which is not the time on that day in America/New_York",
    "2027-01-01 23:54 CEST": "says CEST, which is not the time on that day",
    "2027-07-01 23:54 +0200 (EDT)": "which is unknown here or belongs to several places",
    "2027-07-01 23:54 +25": "which is unknown",
    "3/04/2027 10:00 UTC": "could be one of two days",
    "2027-07-01": "no time of day",
    "Jul 1 at 11:54pm UTC": "not a complete time",
    "soon": "is not a time",
    "2027-02-30 10:00 UTC": "is not a time",
    "2027-07-01 24:01 UTC": "is not a time",
}

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Quiz (1),Quiz (1),Notes,Notes,5_2_guidance (77),Final Score\n"
    ",,,,,Manual Posting,,,,,(read only)\n"
    "    Points Possible,,,,,5,5,,,10,(read only)\n"
    '"Ng, José",11,s1,josé,"Mon and Tue",1,2,,,,\n'
    '"Lovelace, Ada",12,s2,ada@uni.example,Mon,1,2,,,,\n'
    '"Student, Test",99,,,Mon,,,,,,\n'
)
MOODLE = {  # the headings of a list of participants: first name, last name, user name, ID number, email address
    "en": ("First name", "Last name", "Username", "ID number", "Email address"),
    "de": ("Vorname", "Nachname", "Anmeldename", "ID-Nummer", "E-Mail-Adresse"),
    "fr": ("Prénom", "Nom de famille", "Nom d'utilisateur", "Numéro d'identification", "Adresse de courriel"),
    "es": ("Nombre", "Apellido(s)", "Nombre de usuario", "Número de ID", "Dirección de correo"),
    "it": ("Nome", "Cognome", "Username", "Codice identificativo", "Indirizzo email"),
    "nl": ("Voornaam", "Achternaam", "Gebruikersnaam", "ID-nummer", "E-mailadres"),
    "ja": ("名", "姓", "Username", "IDnumber", "メールアドレス"),
}
PEOPLE = (("José", "Ng", "josé", "n1", "Jose.Ng@Uni.example"), ("Ada", "Lovelace", "ada", "n2", "Ada@UNI.example"))


def moodle(language: str, separator: str = ",") -> str:
    return "\n".join(separator.join(row) for row in (MOODLE[language], *PEOPLE)) + "\n"


WORKSHEETS = {  # Moodle's grading worksheet: the person's number in the first column, and two columns of times
    "en": (
        "Identifier,Full name,Email address,Status,Grade,Last modified (submission),Last modified (grade)\n"
        'Participant 101,José Ng,jose.ng@uni.example,Submitted for grading - 2 days late,,"{}",-\n'
        "Participant 102,Ada Lovelace,ada@uni.example,No submission,,-,-\n"
    ),
    "de": (
        "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Zuletzt geändert (Abgabe),Texteingabe online,"
        "Zuletzt geändert (Bewertung)\n"
        'Teilnehmer/in101,José Ng,jose.ng@uni.example,Zur Bewertung abgegeben - 2 Tage zu spät - ,,"{}",,-\n'
        "Teilnehmer/in102,Ada Lovelace,ada@uni.example,Keine Abgabe,,-,,-\n"
    ),
}
WHEN = {"en": "Thursday, 1 July 2027, 11:54 PM", "de": "Donnerstag, 1. Juli 2027, 23:54"}
MOODLE_FILES = {  # how a download of Moodle names the same file
    "folders": "José Ng_101_assignsubmission_file_/label_dropout.ipynb",
    "folders since 4.1": "José Ng_101_assignsubmission_file/label_dropout.ipynb",
    "flat": "José Ng_101_assignsubmission_file_label_dropout.ipynb",
    "group": "Group A-José Ng_101_assignsubmission_file_/label_dropout.ipynb",
    "deeper": "José Ng_101_assignsubmission_file_/hw/label_dropout.ipynb",
    "within a folder": "5.2 guidance-1234/José Ng_101_assignsubmission_file_/label_dropout.ipynb",
}
CANVAS_FILES = {  # and one of Canvas: the name that the file then has for the grader
    "ngjose_11_678910_label_dropout.ipynb": "label_dropout.ipynb",
    "ngjose_LATE_11_678910_label_dropout-1.ipynb": "label_dropout.ipynb",
    "ngjose_11_678910_label_dropout (1).ipynb": "label_dropout.ipynb",
    "ngjose_11_678910_label_dropout.ipynb.txt": "label_dropout.ipynb.txt",
    "ngjose_11_678910_homework.zip": "homework.zip",
    "ngjose_11_678910_homework.rar": "homework.rar",
}
